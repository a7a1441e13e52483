# The Debian packages where systemd runs: installed on a machine without Ublk, upgraded, removed and purged while disks are in use. Each test
# goes on where the former one ended.

BeforeDiscovery {
    $version = (Import-PowerShellDataFile "$PSScriptRoot/../../Ublk.psd1").ModuleVersion
    $packages = 'ublk', 'powershell-ublk' | ForEach-Object { "$PSScriptRoot/../../out/packages/${_}_${version}_amd64.deb" }
    # They change the packages of the machine: only in the VM, which is thrown away.
    $canRun = (Test-Path /run/ublk-vm) -and (Test-Path /run/systemd/system) -and (Test-Path $packages) -notcontains $false
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $version = (Import-PowerShellDataFile "$root/Ublk.psd1").ModuleVersion
    $commandPackage, $modulePackage = 'ublk', 'powershell-ublk' | ForEach-Object { "$root/out/packages/${_}_${version}_amd64.deb" }
    $image = "$TestDrive/disk.img"
    $data = "$TestDrive/data.img"
    New-Image $image 16MB
    New-Image $data 16MB -Random
    Invoke-Program mkfs.ext4 -q -F $image
    $mount = (New-Item -ItemType Directory "$TestDrive/mnt").FullName

    # Without the trigger that lists all manual pages anew.
    function Invoke-Dpkg {
        (Invoke-Program dpkg --no-triggers @args) -join "`n"
    }

    # The same package as a newer version.
    function New-NextVersion([string] $Package) {
        $tree = "$TestDrive/$(Split-Path -LeafBase $Package)"
        Invoke-Program dpkg-deb --raw-extract $Package $tree
        (Get-Content -Raw "$tree/DEBIAN/control").Replace($version, '99.0') | Set-Content "$tree/DEBIAN/control" -NoNewline
        Invoke-Program dpkg-deb -Znone --build $tree "$tree.deb" | Out-Null
        "$tree.deb"
    }

    function Get-Worker {
        (Get-UblkDevice).ProcessId
    }
}

Describe 'The Debian packages' -Tag Systemd -Skip:(-not $canRun) {
    AfterAll {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
        # The registration that the packages left.
        Remove-Item /etc/ublk, /etc/systemd/system/*.wants/ublk@data.service, /etc/systemd/system/ublk@data.service.d,
            /etc/udev/rules.d/60-ublk-data.rules -Recurse -ErrorAction Ignore
        Invoke-Program systemctl daemon-reload
    }

    It 'lead to a mounted disk with the command' {
        Invoke-Dpkg --install $commandPackage
        Invoke-Program /usr/bin/ublk add -f $image
        Invoke-Program mount /dev/ublkb0 $mount
        Set-Content "$mount/file" 'content'
        Invoke-Program umount $mount
        Invoke-Program /usr/bin/ublk del -n 0
        Get-Leftover | Should -BeNullOrEmpty
        Invoke-Program debugfs -R 'cat file' $image | Select-Object -Last 1 | Should -Be 'content'
    }

    It 'lead to a registered disk with the cmdlets, which every user finds' {
        Invoke-Dpkg --install $modulePackage
        $script = "`$null = Register-UblkDevice -Name data -Target Loop -Path '$data' -Start; (Get-Module Ublk).ModuleBase"
        & ([Environment]::ProcessPath) -NoProfile -NonInteractive -Command $script | Should -Be /usr/local/share/powershell/Modules/Ublk
        Invoke-Program systemctl show --property=FragmentPath --value ublk@data.service | Should -Match '^(/usr)?/lib/systemd/system/ublk@.service$'
        (Get-Item "/proc/$(Get-Worker)/exe").LinkTarget | Should -Be /usr/lib/ublk/linux-x64/ublk-worker
        Invoke-Program cmp /dev/disk/by-ublk/data $data
    }

    It 'leave disks served when they are upgraded, and say how they get the new version' {
        $null = New-UblkDevice -Target Null -Recovery Reissue
        $workers = Get-Worker
        # Only the record says which version serves.
        foreach ($record in Get-Item /run/ublk/*.json) {
            (Get-Content -Raw $record) -replace '("WorkerVersion": *)"[^"]*"', '$1"0.0.1"' | Set-Content $record -NoNewline
        }
        Invoke-Dpkg --install (New-NextVersion $commandPackage) (New-NextVersion $modulePackage) | Should -Match 'ublk update -a'
        Get-Worker | Should -Be $workers
        Invoke-Program cmp /dev/disk/by-ublk/data $data

        Invoke-Program /usr/bin/ublk update -a
        Get-Worker | ForEach-Object { $_ | Should -Not -BeIn $workers }
        (Get-UblkDevice).Outdated | Should -Not -Contain $true
        Invoke-Program cmp /dev/disk/by-ublk/data $data
    }

    It 'leave disks served when they are removed, say so, and keep what is registered' {
        $workers = Get-Worker
        $said = Invoke-Dpkg --remove powershell-ublk ublk
        $said | Should -Match '/dev/ublkb0 /dev/ublkb1'
        $said | Should -Match 'cannot start without the package: ublk@data\.service'
        Invoke-Dpkg --purge powershell-ublk ublk | Should -Match '/etc/ublk is kept'
        '/usr/lib/ublk', '/usr/bin/ublk', '/usr/local/share/powershell/Modules/Ublk' | Should -Not -Exist
        Get-Worker | Should -Be $workers
        Invoke-Program cmp /dev/disk/by-ublk/data $data

        # The supervisor of the registered disk starts the next worker, too.
        $worker = (Get-UblkDevice -Name data).ProcessId
        Invoke-Program env kill -KILL $worker
        Wait-For { ($now = Get-UblkDevice -Name data).State -eq 'Live' -and $now.ProcessId -ne $worker }
        Invoke-Program cmp /dev/disk/by-ublk/data $data

        Invoke-Program systemctl stop ublk@data.service ublk-1.service
        Get-Leftover | Should -BeNullOrEmpty
        Get-Content -Raw /etc/ublk/data.json | Should -Match ([regex]::Escape($data))
    }
}
