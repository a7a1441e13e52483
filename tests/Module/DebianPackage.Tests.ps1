# The Debian packages, installed below a folder as dpkg does it. What the programs in them do is looked at with the driver.

BeforeAll {
    $root = Split-Path (Split-Path $PSScriptRoot)
    $version = (Import-PowerShellDataFile "$root/Ublk.psd1").ModuleVersion
    $commandPackage, $modulePackage = 'ublk', 'powershell-ublk' | ForEach-Object { "$root/out/packages/${_}_${version}_amd64.deb" }
    $place = "$TestDrive/place"
    $link = "$place/usr/local/share/powershell/Modules/Ublk"
    $PSNativeCommandUseErrorActionPreference = $true
    $ErrorActionPreference = 'Stop'
    $null = New-Item -ItemType Directory $place, "$place/var/lib/dpkg/info", "$place/var/lib/dpkg/updates"
    $null = New-Item "$place/var/lib/dpkg/status"

    function Invoke-Dpkg {
        # The folder has neither a shell nor libc.
        dpkg --root=$place --force-script-chrootless --force-depends --force-not-root --log=/dev/null @args 2>&1 | ForEach-Object { "$_" }
    }
}

Describe 'The Debian packages' {
    It 'satisfy lintian' {
        lintian --fail-on none --tag-display-limit 0 $commandPackage $modulePackage 2>&1 | Where-Object { $_ -match '^[EW]: ' } |
            Should -BeExactly 'W: ublk: maintainer-script-calls-systemctl [prerm:6]'
    }

    It 'need libc alone, and not a newer one than Debian 12 has' {
        (dpkg-deb --field $commandPackage Depends) -match '^libc6 \(>= ([\d.]+)\)$' | Should -BeTrue
        [version] $Matches[1] | Should -BeLessOrEqual ([version] '2.36')
        objdump -p (Get-Item $root/out/Ublk/worker/linux-x64/*).FullName | Select-String 'NEEDED +(\S+)' |
            ForEach-Object { $_.Matches[0].Groups[1].Value | Should -BeIn 'libc.so.6', 'libm.so.6', 'ld-linux-x86-64.so.2' }
    }

    It 'are installed, and removed without a trace' {
        Invoke-Dpkg --install $commandPackage $modulePackage
        & $place/usr/bin/ublk --version | Should -Match '^ublk \d'
        Test-Path "$place/usr/share/man/man8/ublk.8.gz" | Should -BeTrue
        (Get-Item $link).LinkTarget | Should -Be '/usr/share/powershell/Modules/Ublk'
        foreach ($unit in 'ublk-metrics.service', 'ublk@.service') {
            (Get-Content -Raw "$place/usr/lib/systemd/system/$unit") -match 'ExecStart=(\S+)' | Should -BeTrue
            "$place$($Matches[1])" | Should -Exist
        }
        "$place/usr/lib/ublk/portable/ublk-worker.dll" | Should -Exist
        (Get-Content -Raw "$place/usr/share/doc/ublk/examples/59-ublk.rules") -match 'PROGRAM=="(\S+)' | Should -BeTrue
        "$place$($Matches[1])" | Should -Exist
        Get-Item "$place/usr/share/powershell/Modules/Ublk/worker/linux-x64/ublk-worker" | Should -Not -BeNullOrEmpty

        Invoke-Dpkg --purge powershell-ublk ublk
        Get-Item $link -ErrorAction Ignore | Should -BeNullOrEmpty
        Get-ChildItem $place/usr -Recurse -File | Should -BeNullOrEmpty
    }

    It 'make a tarball for /usr/local' {
        & $root/packaging/New-Tarball.ps1 -Package $commandPackage -Destination $TestDrive
        $local = (New-Item -ItemType Directory "$TestDrive/local").FullName
        tar -xzf (Get-Item $TestDrive/ublk-*-linux-x64.tar.gz).FullName --strip-components=1 -C $local
        & $local/bin/ublk --version | Should -Match '^ublk \d'
        "$local/lib/ublk/linux-x64/ublk-worker", "$local/share/man/man8/ublk.8.gz", "$local/share/doc/ublk/LICENSE" | Should -Exist
        foreach ($file in 'lib/systemd/system/ublk-metrics.service', 'lib/systemd/system/ublk@.service', 'share/doc/ublk/examples/59-ublk.rules') {
            # Every program that the files name is in the tarball.
            $names = [regex]::Matches((Get-Content -Raw "$local/$file"), '(?<=[="])/usr/(local/)?(?<path>(bin|lib)/\S*ublk\S*)')
            $names | Should -Not -BeNullOrEmpty
            $names | ForEach-Object { $_.Value | Should -BeLike '/usr/local/*'; "$local/$($_.Groups['path'])" | Should -Exist }
        }
        Get-Content -Raw "$local/share/doc/ublk/README" | Should -Match 'glibc 2\.\d+ or newer'
    }

    It 'leave a module that an administrator installed' {
        $null = New-Item -ItemType Directory $link
        Invoke-Dpkg --install $commandPackage $modulePackage
        Invoke-Dpkg --purge powershell-ublk ublk
        Test-Path $link -PathType Container | Should -BeTrue
    }
}
