#Requires -Version 7.6
<#
.SYNOPSIS
Makes the Debian packages ublk and powershell-ublk of the built module, with dpkg-deb.
#>
[CmdletBinding()]
param(
    # The built module.
    [Parameter(Mandatory)] [string] $Module,

    # The platform of the programs to pack.
    [ValidateSet('linux-x64', 'linux-arm64')] [string] $Platform = 'linux-x64',

    # Where the packages go.
    [Parameter(Mandatory)] [string] $Destination
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
$root = Split-Path $PSScriptRoot
$manifest = Import-PowerShellDataFile "$Module/Ublk.psd1"
$version = $manifest.ModuleVersion
$architecture = @{ 'linux-x64' = 'amd64'; 'linux-arm64' = 'arm64' }[$Platform]

# DEBFULLNAME and DEBEMAIL name the maintainer of a Debian package, as for dch(1).
$maintainer = "$($env:DEBFULLNAME ?? $manifest.Author) <$($env:DEBEMAIL ?? "$(id -un)@$(hostname --fqdn)")>"
# With SOURCE_DATE_EPOCH two builds of the same files are the same package.
$date = $env:SOURCE_DATE_EPOCH ? [DateTimeOffset]::FromUnixTimeSeconds($env:SOURCE_DATE_EPOCH) : [DateTimeOffset]::UtcNow
$work = [IO.Directory]::CreateTempSubdirectory('ublk-deb').FullName

# The newest version of a symbol that the programs take from libc. Unlike objdump, readelf reads programs of every architecture.
function Get-LibcVersion([string[]] $Program) {
    readelf --version-info --wide $Program | Select-String 'GLIBC_([0-9.]+)' | ForEach-Object { [version] $_.Matches[0].Groups[1].Value } |
        Sort-Object | Select-Object -Last 1
}

# What Debian wants in the documentation of every package.
function Add-PackageDocument([string] $Tree, [string] $Name) {
    $folder = "$Tree/usr/share/doc/$Name"
    $null = New-Item -ItemType Directory -Force $folder
    $license = (Get-Content "$root/LICENSE" | Select-Object -Skip 4 | ForEach-Object { $_ ? " $_" : ' .' }) -join "`n"
    Set-Content "$folder/copyright" @"
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2026 The Ublk authors
License: Expat
$license
"@
    Set-Content "$folder/changelog" @"
$Name ($version) unstable; urgency=medium

  * Version $version. CHANGELOG.md of the project lists its changes.

 -- $maintainer  $($date.ToString('ddd, dd MMM yyyy HH:mm:ss', [cultureinfo]::InvariantCulture)) +0000
"@
    gzip -9 --no-name "$folder/changelog"
}

function New-Package([string] $Tree, [string] $Name, [string] $Fields, [hashtable] $Scripts = @{}) {
    Add-PackageDocument $Tree $Name
    $size = (Get-ChildItem $Tree -Recurse -File | Measure-Object Length -Sum).Sum
    $null = New-Item -ItemType Directory "$Tree/DEBIAN"
    Set-Content "$Tree/DEBIAN/control" @"
Package: $Name
Version: $version
Architecture: $architecture
Maintainer: $maintainer
Installed-Size: $([Math]::Ceiling($size / 1KB))
Section: admin
Priority: optional
$Fields
"@
    foreach ($script in $Scripts.Keys) {
        Set-Content "$Tree/DEBIAN/$script" $Scripts[$script]
    }
    chmod -R u=rwX,go=rX $Tree
    foreach ($script in $Scripts.Keys) {
        chmod 755 "$Tree/DEBIAN/$script"
    }
    Push-Location $Tree
    Get-ChildItem usr -Recurse -File | Where-Object LinkType -EQ $null | ForEach-Object {
        $path = [IO.Path]::GetRelativePath($Tree, $_.FullName)
        "$((Get-FileHash -Algorithm MD5 $_.FullName).Hash.ToLowerInvariant())  $path"
    } | Set-Content DEBIAN/md5sums
    Pop-Location
    dpkg-deb --root-owner-group --build $Tree "$Destination/${Name}_${version}_$architecture.deb" | Out-Host
}

try {
    # The native programs: the worker and the ublk command.
    $tree = "$work/ublk"
    $programs = "$tree/usr/lib/ublk/$Platform"
    $null = New-Item -ItemType Directory $programs, "$tree/usr/share/doc/ublk/examples"
    Copy-Item "$Module/worker/$Platform/*" $programs
    chmod -R a+x $programs
    $null = New-Item -ItemType Directory "$tree/usr/bin", "$tree/usr/share/man/man8", "$tree/usr/share/bash-completion/completions"
    $null = New-Item -ItemType SymbolicLink "$tree/usr/bin/ublk" -Target "../lib/ublk/$Platform/ublk"
    Copy-Item "$root/docs/man/ublk.8" "$tree/usr/share/man/man8"
    gzip -9 --no-name "$tree/usr/share/man/man8/ublk.8"
    Copy-Item "$root/src/Ublk.Command/ublk.bash" "$tree/usr/share/bash-completion/completions/ublk"
    $null = New-Item -ItemType Directory "$tree/usr/lib/systemd/system"
    Copy-Item "$root/packaging/systemd/*", "$Module/systemd/*" "$tree/usr/lib/systemd/system"
    # The place of the worker in the units of registered devices.
    $null = New-Item -ItemType SymbolicLink "$tree/usr/lib/ublk/ublk-worker" -Target "$Platform/ublk-worker"
    Copy-Item "$root/packaging/grafana/ublk.json" "$tree/usr/share/doc/ublk/examples"
    # An example: which folders a worker may open is for the administrator to decide.
    Copy-Item "$root/packaging/apparmor/ublk-worker" "$tree/usr/share/doc/ublk/examples/apparmor"
    # An example: the rules open the driver to every user, which is for the administrator to decide.
    (Get-Content -Raw "$Module/udev/59-ublk.rules").Replace('/usr/local/lib/ublk/', "/usr/lib/ublk/$Platform/") |
        Set-Content "$tree/usr/share/doc/ublk/examples/59-ublk.rules" -NoNewline
    # The native compiler links a zlib into the programs, so that they need libc alone. The worker's image has a fixed address, which saves
    # locked memory in each worker.
    $null = New-Item -ItemType Directory "$tree/usr/share/lintian/overrides"
    Set-Content "$tree/usr/share/lintian/overrides/ublk" 'ublk: embedded-library zlib *', 'ublk: hardening-no-pie *ublk-worker]'
    New-Package $tree ublk @"
Depends: libc6 (>= $(Get-LibcVersion "$programs/ublk", "$programs/ublk-worker"))
Suggests: librbd1, libssl3
Description: native programs that serve Linux ublk block devices
 The command ublk turns a file, a disk image or an export of an NBD server into
 a block device, which a process of its own serves. It needs a kernel with the
 driver ublk_drv.
"@ @{
        postinst = @'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -z "$DPKG_ROOT" ]; then
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
    # The former workers serve on.
    if ublk list --json 2>/dev/null | grep -q '"outdated": true'; then
        echo 'ublk: disks in use have workers of another version. Replace them: ublk update -a'
    fi
fi
'@
        prerm    = @'
#!/bin/sh
set -e
if [ "$1" = remove ]; then
    if [ -z "$DPKG_ROOT" ]; then
        if [ -d /run/systemd/system ]; then
            systemctl --quiet disable --now ublk-metrics.timer
        fi
        # A worker needs nothing of the package: a disk in use must not lose its server.
        disks=$(find /dev -maxdepth 1 -name 'ublkb*' ! -name '*p*' | sort -V | tr '\n' ' ')
        if [ "$disks" ]; then
            echo "ublk: these disks stay in use: $disks"
            echo 'ublk: To remove one now, stop its unit, ublk-ID or ublk@NAME, or send SIGTERM to its worker.'
        fi
        units=$(find /etc/systemd/system -type l -path '*.wants/ublk@*' -printf '%f ' 2>/dev/null)
        if [ "$units" ]; then
            echo "ublk: these units stay enabled, but cannot start without the package: $units"
        fi
    fi
    rm -f "$DPKG_ROOT/var/lib/prometheus/node-exporter/ublk.prom"
fi
'@
        postrm   = @'
#!/bin/sh
set -e
if [ -z "$DPKG_ROOT" ]; then
    if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload
    fi
    # An administrator registered them.
    if [ "$1" = purge ] && ls /etc/ublk/*.json >/dev/null 2>&1; then
        echo 'ublk: /etc/ublk is kept: it describes registered disks.'
    fi
fi
'@
    }

    # The module. Debian's packages may not put files in /usr/local, the only folder for all users that every PowerShell searches.
    $tree = "$work/powershell-ublk"
    $target = "$tree/usr/share/powershell/Modules/Ublk"
    $null = New-Item -ItemType Directory (Split-Path $target)
    Copy-Item $Module $target -Recurse
    Remove-Item "$target/worker/linux-*" -Recurse
    $null = New-Item -ItemType SymbolicLink "$target/worker/$Platform" -Target "../../../../../lib/ublk/$Platform"
    # Where the units of registered devices with plug-ins find it.
    $null = New-Item -ItemType Directory "$tree/usr/lib/ublk"
    $null = New-Item -ItemType SymbolicLink "$tree/usr/lib/ublk/portable" -Target ../../share/powershell/Modules/Ublk/worker/portable
    Remove-Item "$target/LICENSE"
    chmod -R a-x,a+X $target
    $link = '/usr/local/share/powershell/Modules/Ublk'
    New-Package $tree powershell-ublk @"
Depends: ublk (= $version)
Suggests: powershell (>= 7.6)
Description: PowerShell module for Linux ublk block devices
 Cmdlets that create, show, change and remove ublk devices and disk images.
 They need PowerShell 7.6 or newer, which Debian does not distribute.
"@ @{
        postinst = @"
#!/bin/sh
set -e
link=`$DPKG_ROOT$link
if [ "`$1" = configure ] && [ ! -e "`$link" ] && [ ! -L "`$link" ]; then
    mkdir -p "`${link%/*}"
    ln -s /usr/share/powershell/Modules/Ublk "`$link"
fi
"@
        prerm    = @"
#!/bin/sh
set -e
link=`$DPKG_ROOT$link
if [ "`$1" = remove ] && [ "`$(readlink "`$link")" = /usr/share/powershell/Modules/Ublk ]; then
    rm "`$link"
fi
"@
    }
}
finally {
    Remove-Item $work -Recurse -Force
}
