#Requires -Version 7.6
<#
.SYNOPSIS
Measures how long the requests of a disk in use wait while a command replaces its image.
.DESCRIPTION
Takes snapshots of a disk, merges each one, and copies the disk into a backup, while fio writes 4 KiB at random places. Prints for each
command the longest latency of a request that completed meanwhile, beside the percentiles of all other requests. Needs root, the driver
and fio.
.EXAMPLE
tests/vm/run.sh --icount -- out/pwsh/pwsh -File bench/Measure-Switch.ps1
#>
param(
    # How often each command runs.
    [ValidateRange(1, 100)]
    [int] $Count = 5,

    # The depth of fio's queue.
    [ValidateRange(1, 128)]
    [int] $Depth = 16,

    # A folder for the images. Where a flush is free, as in memory, the figures are those of the switch alone.
    [string] $Directory = '/dev/shm'
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
Import-Module "$PSScriptRoot/../out/Ublk/Ublk.psd1"
. "$PSScriptRoot/Statistics.ps1"

# The time of the clock that fio's log has, in ms.
function Get-Now { [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds() }

$folder = Join-Path $Directory "ublk-switch-$PID"
$null = New-Item -ItemType Directory $folder
$device = $fio = $null
try {
    $null = New-UblkImage "$folder/base.qcow2" -Size 128MB
    $device = New-UblkDevice "$folder/base.qcow2"
    $commands = [ordered]@{
        Checkpoint = { Checkpoint-UblkDevice $device.Id -OverlayPath "$folder/$number.qcow2" }
        Merge      = { Merge-UblkDevice $device.Id -Confirm:$false }
        Backup     = { Backup-UblkDevice $device.Id -DestinationPath "$folder/backup.qcow2" -Force }
    }

    # So that no sample includes the compilation of the commands.
    $number = 0
    $commands.Values | ForEach-Object { & $_ }

    $fio = Start-Process fio -PassThru -RedirectStandardOutput "$folder/fio.log" -ArgumentList @(
        '--name=switch', "--filename=$($device.DevicePath)", '--rw=randwrite', '--bs=4k', "--iodepth=$Depth", '--direct=1', '--ioengine=io_uring'
        '--time_based', '--runtime=600', "--write_lat_log=$folder/switch", '--log_unix_epoch=1', '--disable_slat=1', '--disable_lat=1')
    Start-Sleep -Seconds 1
    $spans = foreach ($number in 1..$Count) {
        foreach ($name in $commands.Keys) {
            $begin = Get-Now
            & $commands[$name]
            [pscustomobject]@{ Command = $name; Begin = $begin; End = Get-Now }
            Start-Sleep -Milliseconds 300
        }
    }
    kill -INT $fio.Id
    $fio.WaitForExit()

    # Time in ms, latency in ns. A request belongs to the command during which it completed. PowerShell takes minutes for this under emulation.
    $spans | ForEach-Object { "$($_.Begin) $($_.End)" } | Set-Content "$folder/spans"
    $longest = @(awk '
        NR == FNR { begin[NR] = $1; end[NR] = $2; count = NR; next }
        {
            time = $1 + 0; latency = $2 / 1e6; place = 0
            for (i = 1; i <= count; i++) if (time >= begin[i] && time <= end[i]) place = i
            if (!place) print latency > others
            else if (latency > longest[place]) longest[place] = latency
        }
        END { for (i = 1; i <= count; i++) print longest[i] + 0 }' "others=$folder/others" "$folder/spans" 'FS=,' "$folder/switch_clat.1.log")
    $others = [double[]] @(sort -g "$folder/others")
    $p99 = $others[[int] (0.99 * ($others.Count - 1))]
    for ($index = 0; $index -lt $spans.Count; $index++) {
        [pscustomobject]@{
            Command    = $spans[$index].Command
            CommandMs  = $spans[$index].End - $spans[$index].Begin
            LongestMs  = [Math]::Round([double] $longest[$index], 1)
            OthersP99Ms = [Math]::Round($p99, 2)
        }
    }
    Write-Host "$($others.Count) other requests, p50 $($others[[int] (0.5 * ($others.Count - 1))]) ms, p99 $p99 ms"
}
finally {
    if ($device) { Remove-UblkDevice $device.Id -Force }
    Remove-Item $folder -Recurse
}
