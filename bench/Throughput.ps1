# One sample: a fresh disk, one fio run on it, and what its server used meanwhile.

function Measure-Throughput($Contender, [string] $File, [string] $Workload, [double] $Seconds) {
    $path = & $Contender.Attach $File
    try {
        $server = Get-ServerProcess $path
        $memoryBefore = if ($server) { Get-ResidentMemory $server } else { $null }
        $ticks = if ($server) { Get-CpuTicks $server }
        $requests = Get-RequestCount $path

        $run = Invoke-Fio $path $Workload $Seconds

        # The ramp counts on both sides of the fraction.
        $requests = (Get-RequestCount $path) - $requests
        [pscustomobject]@{
            Contender       = $Contender.Name
            Iops            = $run.iops
            MiBPerSecond    = $run.bw / 1024
            TicksPer1000    = if ($server) { ((Get-CpuTicks $server) - $ticks) * 1000 / $requests } else { $null }
            MemoryBeforeKiB = $memoryBefore
            MemoryAfterKiB  = if ($server) { Get-ResidentMemory $server } else { $null }
        }
    }
    finally {
        & $Contender.Detach $path
    }
}

$fio = (Get-Command fio -CommandType Application | Select-Object -First 1).Source

# Runs a section of workloads.fio; returns the read or write part of its result.
function Invoke-Fio([string] $Path, [string] $Workload, [double] $Seconds) {
    $result = New-TemporaryFile
    $env:DISK, $env:SECONDS_EACH = $Path, "$([int] ($Seconds * 1000))ms"
    & $fio --section=$Workload --output-format=json --output=$result "$PSScriptRoot/workloads.fio"
    $job = (Get-Content -Raw $result | ConvertFrom-Json).jobs[0]
    Remove-Item $result
    if ($Workload -match 'read') { $job.read } else { $job.write }
}
