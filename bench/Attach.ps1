# How long attaching takes, and how much of that is the launcher's doing rather than the worker's.

# For whoever serves the disk the whole call. Where the call tells its steps, also its four parts: until the worker's program is started,
# until the process that will serve has replaced it (proc(5), in steps of 10 ms), until the kernel has made the block device's node,
# and until the call returns.
function Measure-Attach($Contender) {
    $VerbosePreference = 'Continue'
    $begin = Get-Uptime
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $started = $null
    $path = & $Contender.Attach 4>&1 | ForEach-Object {
        if ($_ -isnot [Management.Automation.VerboseRecord]) { $_ }
        elseif ("$_" -like 'Starting a worker*') { $started = $clock.Elapsed.TotalMilliseconds }
    }
    $total = $clock.Elapsed.TotalMilliseconds
    $VerbosePreference = 'SilentlyContinue'
    try {
        $server = Get-ServerProcess $path
        $live = ((Get-NodeTime $path) - $begin) * 1000
        [pscustomobject]@{
            Contender   = $Contender.Name
            Total       = $total
            BeforeStart = $started
            Detaching   = if ($started) { ((Get-ProcessStart $server) - $begin) * 1000 - $started }
            StartToLive = if ($started) { $live - $started }
            AfterLive   = if ($started) { $total - $live }
            Added       = if ($started) { $total - ($live - $started) }
        }
    }
    finally {
        & $Contender.Detach $path
    }
}
