<#
.SYNOPSIS
A session with a ublk disk: from an image file to a mounted file system and back.
.DESCRIPTION
Shows each command as it would be typed, what it prints and how long it took; $UBLK_RESULTS/transcript.txt keeps it. Needs root and the driver. Works in a
temporary directory of its own, touches no other device, and leaves nothing behind.
#>
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
Import-Module (Join-Path $PSScriptRoot '../out/Ublk/Ublk.psd1')

$transcript = [Text.StringBuilder]::new()

# Runs a command in the caller's scope as if it had been typed there.
function Show([scriptblock] $Command) {
    $typed = "PS> $("$Command".Trim())"
    Write-Host "`n$typed" -ForegroundColor Cyan
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $shown = . $Command | Out-String -Width 120
    Write-Host $shown -NoNewline
    Write-Host ('    ({0:F2} s)' -f $clock.Elapsed.TotalSeconds) -ForegroundColor DarkGray
    $null = $transcript.AppendLine($typed).Append([string] ($shown -replace '(?m)[ \t]+$|\A\n+', ''))
}

$here = New-Item -ItemType Directory (Join-Path ([IO.Path]::GetTempPath()) "ublk-demo-$PID")
Push-Location $here
$session = [Diagnostics.Stopwatch]::StartNew()
try {
    # An image becomes a disk.
    . Show { truncate --size 256M disk.img }
    . Show { $disk = New-UblkDevice disk.img }
    . Show { Get-UblkDevice }
    . Show { Get-UblkDevice -Id $disk.Id | Format-List }
    . Show { lsblk --output NAME,SIZE,TYPE,RO $disk.DevicePath }

    # What it does is on view.
    . Show { $load = Start-Process dd "if=$disk", 'of=/dev/null', 'bs=4k', 'iflag=direct', 'status=none' -PassThru }
    . Show { Measure-UblkDevice -Id $disk.Id }
    . Show { Measure-UblkDevice -Id $disk.Id | Format-UblkMeasurement }
    if (-not $load.HasExited) {
        $load.Kill()
        $load.WaitForExit()
    }

    # The disk carries a file system like any other.
    . Show { mkfs.ext4 -q $disk.DevicePath }
    . Show { $null = New-Item -ItemType Directory mnt }
    . Show { mount $disk.DevicePath mnt }
    . Show { 'Hello from a disk that PowerShell made.' | Set-Content mnt/hello.txt }
    . Show { dd if=/dev/urandom of=mnt/random bs=1M count=64 conv=fsync status=none }
    . Show { Get-ChildItem mnt -File }
    . Show { umount mnt }

    # What was written is in the image, and a second disk of it shows the same.
    . Show { $disk | Remove-UblkDevice }
    . Show { $disk = New-UblkDevice disk.img -ReadOnly }
    . Show { mount -o ro $disk.DevicePath mnt }
    . Show { Get-Content mnt/hello.txt }
    . Show { umount mnt }
    . Show { $disk | Remove-UblkDevice }
    . Show { Get-UblkDevice }
}
finally {
    $PSNativeCommandUseErrorActionPreference = $false
    mountpoint --quiet mnt && umount mnt
    if ($disk -and (Test-Path $disk.DevicePath)) {
        $disk | Remove-UblkDevice -Force
    }
    Pop-Location
    Remove-Item $here -Recurse -Force
}
if ($env:UBLK_RESULTS) {
    Set-Content (Join-Path $env:UBLK_RESULTS 'transcript.txt') "$transcript" -NoNewline
}
Write-Host ("`nThe session took {0:F1} s." -f $session.Elapsed.TotalSeconds)
