# How long attaching takes, and how much of that is the launcher's doing rather than the worker's.

# For Ublk: from the call to its return, and from the worker's start (proc(5), in steps of 10 ms) to the moment the
# kernel made the block device's node. The difference is what the launcher adds at both ends.
function Measure-Attach($Contender, [string] $File) {
    $begin = Get-Uptime
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $path = & $Contender.Attach $File
    $total = $clock.Elapsed.TotalMilliseconds
    try {
        $server = Get-ServerProcess $path
        $start = Get-ProcessStart $server
        $live = Get-NodeTime $path
        [pscustomobject]@{
            Contender           = $Contender.Name
            TotalMs             = $total
            WorkerStartToLiveMs = ($live - $start) * 1000
            CallToWorkerStartMs = ($start - $begin) * 1000
            AddedMs             = $total - ($live - $start) * 1000
            MemoryKiB           = Get-ResidentMemory $server
        }
    }
    finally {
        & $Contender.Detach $path
    }
}
