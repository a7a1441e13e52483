#Requires -Version 7.6
<#
.SYNOPSIS
Makes ublk-VERSION-PLATFORM.tar.gz of the Debian package ublk, with the platform linux-x64 or linux-arm64: the same files, laid out for /usr/local.
#>
[CmdletBinding()]
param(
    # The Debian package ublk.
    [Parameter(Mandatory)] [string] $Package,

    # Where the archive goes.
    [Parameter(Mandatory)] [string] $Destination
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
$root = Split-Path $PSScriptRoot
$version = dpkg-deb --field $Package Version
$platform = @{ amd64 = 'linux-x64'; arm64 = 'linux-arm64' }[(dpkg-deb --field $Package Architecture)]
$name = "ublk-$version-$platform"
$work = [IO.Directory]::CreateTempSubdirectory('ublk-tar').FullName
try {
    dpkg-deb --extract $Package "$work/deb"
    $tree = "$work/$name"
    Move-Item "$work/deb/usr" $tree
    Remove-Item "$tree/share/lintian" -Recurse
    # /usr/lib/systemd is the distribution's; systemd reads /usr/local/lib/systemd as well.
    foreach ($file in (Get-Item "$tree/lib/systemd/system/*.service", "$tree/share/doc/ublk/examples/59-ublk.rules").FullName) {
        (Get-Content -Raw $file) -replace '(?<![\w/])/usr/(?=bin/|lib/)', '/usr/local/' | Set-Content $file -NoNewline
    }
    # Install-UblkUdevRule puts a program there, and Uninstall-UblkUdevRule removes it.
    Remove-Item "$tree/lib/ublk/ublk-worker"
    $unit = "$tree/lib/systemd/system/ublk@.service"
    (Get-Content -Raw $unit).Replace('/lib/ublk/ublk-worker', "/lib/ublk/$platform/ublk-worker") | Set-Content $unit -NoNewline
    Remove-Item "$tree/share/doc/ublk/changelog.gz", "$tree/share/doc/ublk/copyright"
    Copy-Item "$root/LICENSE" "$tree/share/doc/ublk"
    $libc = [regex]::Match((dpkg-deb --field $Package Depends), 'libc6 \(>= ([\d.]+)\)').Groups[1].Value
    (Get-Content -Raw "$root/packaging/tarball/README").Replace('VERSION', $version).Replace('PLATFORM', $platform).Replace('GLIBC', "glibc $libc") |
        Set-Content "$tree/share/doc/ublk/README" -NoNewline
    chmod -R u=rwX,go=rX $tree
    # The same files make the same archive.
    $date = $env:SOURCE_DATE_EPOCH ?? [DateTimeOffset]::UtcNow.ToUnixTimeSeconds()
    tar --create --gzip --file "$Destination/$name.tar.gz" --directory $work --sort=name "--mtime=@$date" --owner=0 --group=0 --numeric-owner $name
}
finally {
    Remove-Item $work -Recurse -Force
}
