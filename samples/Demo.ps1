<#
.SYNOPSIS
A session with a ublk disk: from an image file to a mounted file system and back.
.DESCRIPTION
Shows each command as it would be typed, what it prints and how long it took. Needs root and the driver. Works in a
temporary directory of its own, touches no other device, and leaves nothing behind.
#>
$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
Import-Module (Join-Path $PSScriptRoot '../out/Ublk/Ublk.psd1')

# Runs a command in the caller's scope as if it had been typed there.
function Show([scriptblock] $Command) {
    Write-Host "`nPS> $("$Command".Trim())" -ForegroundColor Cyan
    $clock = [Diagnostics.Stopwatch]::StartNew()
    . $Command | Out-Host
    Write-Host ('    ({0:F2} s)' -f $clock.Elapsed.TotalSeconds) -ForegroundColor DarkGray
}

$here = New-Item -ItemType Directory (Join-Path ([IO.Path]::GetTempPath()) "ublk-demo-$PID")
Push-Location $here
$session = [Diagnostics.Stopwatch]::StartNew()
try {
    # An image becomes a disk.
    . Show { truncate --size 256M disk.img }
    . Show { $disk = New-UblkDevice -Target Loop -Path disk.img }
    . Show { Get-UblkDevice }
    . Show { Get-UblkDevice -Id $disk.Id | Format-List }
    . Show { lsblk --output NAME,SIZE,TYPE,RO $disk.DevicePath }

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
    . Show { $disk = New-UblkDevice -Target Loop -Path disk.img -ReadOnly }
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
        $disk | Remove-UblkDevice -Force -Confirm:$false
    }
    Pop-Location
    Remove-Item $here -Recurse -Force
}
Write-Host ("`nThe session took {0:F1} s." -f $session.Elapsed.TotalSeconds)
