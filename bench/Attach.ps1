# How long attaching takes, and how much of that is the launcher's doing rather than the worker's.

# The whole call, in ms; and for Ublk, whose cmdlet tells its steps, when the worker's program was started, when the process
# that came to serve was (proc(5), in steps of 10 ms), and when the kernel had made the block device's node.
function Measure-Attach($Contender, $Disk) {
    $VerbosePreference = 'Continue'
    $begin = Get-KernelUptime
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $started = $null
    $served = & $Contender.Attach $Disk 4>&1 | ForEach-Object {
        if ($_ -isnot [Management.Automation.VerboseRecord]) { $_ }
        elseif ("$_" -like 'Starting a worker*') { $started = $clock.Elapsed.TotalMilliseconds }
    }
    $total = $clock.Elapsed.TotalMilliseconds
    $VerbosePreference = 'SilentlyContinue'
    try {
        $server = (Get-ProcessStart (Get-ServerProcess $served)) - $begin
        $live = (Get-NodeTime $served.Path) - $begin
        [pscustomobject]@{
            Contender   = $Contender.Name
            Total       = $total
            Started     = $started
            Served      = $server * 1000
            Live        = $live * 1000
            StartToLive = if ($started) { $live * 1000 - $started } else { $null }
            Added       = if ($started) { $total - $live * 1000 + $started } else { $null }
        }
    }
    finally {
        & $Contender.Detach $served
    }
}
