#Requires -Version 7.4
<#
.SYNOPSIS
Measures Ublk side by side with the kernel's own drivers, and with other servers where they are installed.
.DESCRIPTION
Takes samples in rounds, the contenders one right after the other and each other round in reverse, so that whatever else
the machine does meets them alike. Writes every sample to results.json and the comparison to results.md. Needs root, the driver and fio.
README.md tells what the figures mean.
.EXAMPLE
Invoke-Bench.ps1 -Disk 'loop-ext4*' -Workload '*-depth64'
#>
param(
    # Disks to measure, wildcards allowed: any of the whole matrix. Without this and -Workload a choice of rows for ten minutes.
    [string] $Disk = '*',

    # Workloads of workloads.fio to run, wildcards allowed.
    [string] $Workload = '*',

    # How often each contender takes its turn.
    [ValidateRange(1, 100)]
    [int] $Rounds = 5,

    # How long fio measures for one sample.
    [double] $Seconds = 0.8,

    # A folder for the files of the ext4 disks, whatever its file system is; by default on a new ext4 in memory.
    [string] $Directory,

    # Two short rounds of one row of each kind, unless others are chosen.
    [switch] $Quick,

    # The machine's clock counts instructions (tests/vm/run.sh --icount): two rounds of 0.2 s, unless others are chosen.
    [switch] $Instructions,

    # Where the results go.
    [string] $OutputPath = $(if ($env:UBLK_RESULTS) { $env:UBLK_RESULTS } else { "$PSScriptRoot/../out/bench" })
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
Import-Module "$PSScriptRoot/../out/Ublk/Ublk.psd1"
foreach ($part in 'Matrix', 'Contenders', 'Session', 'Cluster', 'Kernel', 'Statistics', 'Throughput', 'Attach', 'Report') {
    . "$PSScriptRoot/$part.ps1"
}
if ($Quick) {
    $Rounds, $Seconds = 2, 0.4
}
if ($Instructions) {
    if (-not $PSBoundParameters.ContainsKey('Rounds')) { $Rounds = 2 }
    if (-not $PSBoundParameters.ContainsKey('Seconds')) { $Seconds = 0.2 }
}
$rows = if ($PSBoundParameters.ContainsKey('Disk') -or $PSBoundParameters.ContainsKey('Workload')) { Select-Row $Disk $Workload }
    elseif ($Quick) { $quickRows }
    else { $standardRows }

$clock = [Diagnostics.Stopwatch]::StartNew()
$skipped = [Collections.Generic.List[string]]::new([string[]] @(Get-MissingContender))
$null = New-Item -ItemType Directory -Force $OutputPath
$tmpfs = Join-Path '/dev/shm' "ublk-bench-$PID"
$ext4 = if ($Directory) { Join-Path $Directory "ublk-bench-$PID" } else { "/run/ublk-bench-$PID" }
$cluster = "/run/ublk-bench-$PID-ceph"
$mounted = $false
$memory = [Collections.Generic.List[object]]::new()
try {
    modprobe loop
    $null = New-Item -ItemType Directory $tmpfs

    $nullDisk = New-Disk null
    $servers = Get-Contender $nullDisk | Where-Object Name -NE 'kernel'

    # The first call in a session also pays for loading the module.
    $null = Measure-Attach $servers[0] $nullDisk
    $attach = foreach ($round in 1..$Rounds) {
        foreach ($contender in $servers) { Measure-Attach $contender $nullDisk }
    }
    Format-Attach $attach | Write-Host

    if ($rows.Keys -like '*-ext4*') {
        if ($Directory) { $null = New-Item -ItemType Directory $ext4 } else { Mount-Ext4 $ext4; $mounted = $true }
    }
    if ('rbd' -in $rows.Keys) { $null = Start-Cluster $cluster }
    $samples = foreach ($name in $rows.Keys) {
        $current = New-Disk $name ($name -like '*-tmpfs*' ? $tmpfs : $name -eq 'rbd' ? $cluster : $ext4)
        $contenders = @()
        try {
            Connect-Contender $current $skipped | ForEach-Object { $contenders += $_ }
            foreach ($contender in $contenders | Where-Object Server) {
                $memory.Add([pscustomobject]@{ Disk = $name; Contender = $contender.Name; MemoryKiB = Get-ResidentMemory $contender.Server })
            }
            foreach ($work in $rows[$name]) {
                foreach ($round in 1..$Rounds) {
                    # Each other round in reverse: what becomes slower with every sample would favor who is always first.
                    foreach ($contender in $round % 2 ? $contenders : $contenders[-1..-$contenders.Count]) {
                        # So that each sample finds it as new.
                        if ($current.Fill -eq 'fresh') { blkdiscard -f $contender.Served.Path }
                        $sample = Measure-Throughput $contender $work $current.Queues $Seconds | Select-Object @{ n = 'Disk'; e = { $name } },
                            @{ n = 'Workload'; e = { $work } }, @{ n = 'Round'; e = { $round } }, @{ n = 'Contender'; e = { $contender.Name } }, *
                        Write-Host ('{0,7:F0} s  {1} {2}  round {3}  {4,-13} {5,8:F0} IOPS' -f
                            $clock.Elapsed.TotalSeconds, $name, $work, $round, $contender.Name, $sample.Iops)
                        $sample
                    }
                }
            }
        }
        finally {
            Disconnect-Contender $contenders
        }
    }
}
finally {
    if ($mounted) { Dismount-Ext4 $ext4 }
    Stop-Cluster
    Remove-Item $tmpfs, $ext4 -Recurse -ErrorAction Ignore
}

$results = [ordered]@{
    about      = [ordered]@{ kernel = "$(uname -r)"; cpus = [Environment]::ProcessorCount; rounds = $Rounds; seconds = $Seconds
                           clock = $Instructions ? 'instructions' : 'time'; skipped = @($skipped)
                           machine = @(& "$PSScriptRoot/Test-Machine.ps1" | Select-Object Check, Value, Ready) }
    summary    = @(Get-Summary $samples)
    throughput = @($samples)
    memory     = $memory
    attach     = @($attach)
}
$results | ConvertTo-Json -Depth 5 | Set-Content "$OutputPath/results.json"
$report = Format-Report $results
$report | Set-Content "$OutputPath/results.md"
$report
''
'The run took {0:F0} s. Results: {1}' -f $clock.Elapsed.TotalSeconds, $OutputPath
