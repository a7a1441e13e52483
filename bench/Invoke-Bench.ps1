#Requires -Version 7.4
<#
.SYNOPSIS
Measures Ublk side by side with the kernel's loop driver, and with ublksrv where it is installed.
.DESCRIPTION
Takes samples in rounds, the contenders one right after the other, so that whatever else the machine does meets them
alike. Writes every sample to results.json and the comparison to results.md. Needs root, the driver and fio.
README.md tells what the figures mean.
#>
param(
    # How often each contender takes its turn.
    [ValidateRange(1, 100)]
    [int] $Rounds = 5,

    # How long fio measures for one sample.
    [double] $Seconds = 1.5,

    # Where the loop disks' backing file goes.
    [string] $Directory = [IO.Path]::GetTempPath(),

    # The workloads of workloads.fio to run; all by default.
    [string] $Workload = '*',

    # Two short rounds of the 4k workloads.
    [switch] $Quick,

    # Where the results go.
    [string] $OutputPath = $(if ($env:UBLK_RESULTS) { $env:UBLK_RESULTS } else { "$PSScriptRoot/../out/bench" })
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
Import-Module "$PSScriptRoot/../out/Ublk/Ublk.psd1"
foreach ($part in 'Contenders', 'Kernel', 'Statistics', 'Throughput', 'Attach', 'Report') {
    . "$PSScriptRoot/$part.ps1"
}
if ($Quick) {
    $Rounds, $Seconds, $Workload = 2, 0.5, '*-4k-*'
}

$contenders = @{ null = @(Get-Contender null); loop = @(Get-Contender loop) }
$clock = [Diagnostics.Stopwatch]::StartNew()
$null = New-Item -ItemType Directory -Force $OutputPath
$file = Join-Path $Directory "ublk-bench-$PID.img"
try {
    modprobe loop

    # Every block is there: holes would be cheaper to read than data.
    dd if=/dev/zero of=$file bs=1M count=512 conv=fsync status=none

    # The first call in a session also pays for loading the module.
    $null = Measure-Attach $contenders.null[0]
    $attach = foreach ($round in 1..($Rounds + 2)) {
        foreach ($contender in $contenders.null) { Measure-Attach $contender }
    }
    Format-Attach $attach | Write-Host

    $workloads = (Get-Content "$PSScriptRoot/workloads.fio") -match '^\[' -replace '[][]' -ne 'global' -like $Workload
    $samples = foreach ($disk in 'null', 'loop') {
        foreach ($name in $workloads) {
            foreach ($round in 1..$Rounds) {
                foreach ($contender in $contenders.$disk) {
                    $sample = Measure-Throughput $contender $file $name $Seconds |
                        Select-Object @{ n = 'Disk'; e = { $disk } }, @{ n = 'Workload'; e = { $name } }, @{ n = 'Round'; e = { $round } }, *
                    Write-Host ('{0,7:F0} s  {1} {2}  round {3}  {4,-11} {5,8:F0} IOPS' -f
                        $clock.Elapsed.TotalSeconds, $disk, $name, $round, $contender.Name, $sample.Iops)
                    $sample
                }
            }
        }
    }
}
finally {
    Remove-Item $file -ErrorAction Ignore
}

$others = $samples.Contender | Where-Object { $_ -ne 'Ublk' } | Select-Object -Unique
$report = @(
    "Kernel $(uname -r), $([Environment]::ProcessorCount) CPUs, backing file on $(stat --file-system --format=%T $Directory), " +
        "$Rounds rounds of $Seconds s, median (least..greatest)."
    foreach ($other in $others) { ''; Format-Throughput $samples $other }
    ''
    Format-Memory $samples
    ''
    Format-Attach $attach
)
$report | Set-Content "$OutputPath/results.md"
@{ throughput = $samples; attach = $attach } | ConvertTo-Json -Depth 4 | Set-Content "$OutputPath/results.json"
$report
'' 
'The run took {0:F0} s. Results: {1}' -f $clock.Elapsed.TotalSeconds, $OutputPath
