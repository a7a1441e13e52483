# One sample: a fio run on an attached disk, and what everybody used meanwhile.

function Measure-Throughput($Contender, [string] $Workload, [int] $Queues, [double] $Seconds) {
    # What the one before has left in the page cache is written now, not while this one is measured.
    if ($Contender.File) { sync --file-system $Contender.File }
    $path = $Contender.Served.Path
    $busy = Get-MachineTick
    $own = Get-CpuTick $PID
    $server = if ($Contender.Server) { Get-CpuTick $Contender.Server } else { 0 }
    $bytes = Get-TransferredByte $path

    $job = Invoke-Fio $path $Workload $Queues $Seconds
    $run = if ($Workload -match 'read') { $job.read } else { $job.write }

    # The ramp counts on both sides of the fraction. A difference of great numbers can miss what a process counts for itself.
    $busy = (Get-MachineTick) - $busy - ((Get-CpuTick $PID) - $own)
    $server = if ($Contender.Server) { (Get-CpuTick $Contender.Server) - $server } else { 0 }
    $transfers = ((Get-TransferredByte $path) - $bytes) / ($run.io_bytes / $run.total_ios)
    $percentile = $run.clat_ns.percentile
    [pscustomobject]@{
        Iops         = $run.iops
        MiBPerSecond = $run.bw / 1024
        ServerMicros = [Math]::Max($server, $busy) * 10000 / $transfers
        ClientMicros = ($job.usr_cpu + $job.sys_cpu) / 100 * $job.job_runtime * 1000 / $run.total_ios
        P50Micros    = $percentile.'50.000000' / 1000
        P99Micros    = $percentile.'99.000000' / 1000
        P999Micros   = $percentile.'99.900000' / 1000
        MemoryKiB    = if ($Contender.Server) { Get-ResidentMemory $Contender.Server } else { $null }
    }
}

$fio = (Get-Command fio -CommandType Application | Select-Object -First 1).Source

# Runs a section of workloads.fio.
function Invoke-Fio([string] $Path, [string] $Workload, [int] $Jobs, [double] $Seconds) {
    $result = New-TemporaryFile
    $env:DISK, $env:JOBS, $env:SECONDS_EACH = $Path, $Jobs, "$([int] ($Seconds * 1000))ms"
    & $fio --section=$Workload --output-format=json --output=$result "$PSScriptRoot/workloads.fio"
    (Get-Content -Raw $result | ConvertFrom-Json).jobs[0]
    Remove-Item $result
}
