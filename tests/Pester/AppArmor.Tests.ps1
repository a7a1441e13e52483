# The profile for AppArmor, on programs where the Debian package has them. It changes /usr/lib: only in the VM, which is thrown away.

BeforeDiscovery {
    $enabled = Get-Content /sys/module/apparmor/parameters/enabled -ErrorAction Ignore
    $canRun = (Test-Path /run/ublk-vm) -and $enabled -eq 'Y' -and (Get-Command apparmor_parser -ErrorAction Ignore)
}

Describe 'A worker with the profile for AppArmor' -Skip:(-not $canRun) {
    BeforeAll {
        . $PSScriptRoot/Common.ps1
        $profilePath = "$root/packaging/apparmor/ublk-worker"
        if (-not (Test-Path /sys/kernel/security/apparmor)) {
            Invoke-Program mount -t securityfs none /sys/kernel/security
        }
        $null = New-Item -ItemType Directory -Force /usr/lib/ublk, /srv/ublk-specs
        Copy-Item -Recurse "$root/out/Ublk/worker/linux-x64" /usr/lib/ublk
        $command = '/usr/lib/ublk/linux-x64/ublk'
        $socket = '/run/nbd-specs.socket'
        New-Image /srv/ublk-specs/disk.img 16MB
        New-Image /srv/ublk-specs/base.img 16MB
        $null = New-UblkImage /srv/ublk-specs/disk.qcow2 -BackingPath /srv/ublk-specs/base.img -BackingFormat Raw
        New-Image "$TestDrive/elsewhere.img" 16MB
        New-Image "$TestDrive/data" 4MB -Random

        # What the profile does not permit, as the kernel logs it.
        function Get-Denial {
            Invoke-Program dmesg | Select-String 'apparmor="(ALLOWED|DENIED)".* name="(.*?)"' | ForEach-Object { $_.Matches[0].Groups[2].Value }
        }
    }

    AfterEach {
        Invoke-Program $command del -a
        Get-Content "$TestDrive/nbd.pid" -ErrorAction Ignore | ForEach-Object { Invoke-Program env kill -KILL $_ }
        Remove-Item "$TestDrive/nbd.pid", $socket -ErrorAction Ignore
        Get-Leftover | Should -BeNullOrEmpty
    }

    AfterAll {
        Invoke-Program apparmor_parser --remove $profilePath
        Remove-Item /usr/lib/ublk, /srv/ublk-specs -Recurse
    }

    It 'serves, dies, is replaced and removes its disk in <_> mode' -ForEach 'complain', 'enforce' {
        Invoke-Program apparmor_parser --replace $($_ -eq 'complain' ? '--complain' : '--quiet') $profilePath
        Invoke-Program dmesg --clear
        Invoke-Program nbdkit --unix $socket --pidfile "$TestDrive/nbd.pid" memory 16M
        Invoke-Program $command add -n 0 -f /srv/ublk-specs/disk.img --auto_restart
        Invoke-Program $command add -n 1 -t qcow2 -f /srv/ublk-specs/disk.qcow2 --auto_restart
        Invoke-Program $command add -n 2 -t nbd --unix $socket
        $disks = Get-UblkDevice
        foreach ($disk in $disks) {
            Get-Content "/proc/$($disk.ProcessId)/attr/current" | Should -Be "ublk-worker ($_)"
            Invoke-Program dd "if=$TestDrive/data" "of=$disk" bs=1M oflag=direct conv=fsync status=none
        }
        foreach ($disk in $disks[0, 1]) {
            Invoke-Program env kill -KILL $disk.ProcessId
            Wait-For { ($now = Get-UblkDevice $disk.Id).State -eq 'Live' -and $now.ProcessId -ne $disk.ProcessId }
        }
        foreach ($disk in $disks) {
            Invoke-Program cmp -n 4194304 "$TestDrive/data" $disk
        }
        Invoke-Program $command del -a
        Get-Denial | Should -BeNullOrEmpty
    }

    It 'opens no file elsewhere when it is enforced' {
        & $command add -f "$TestDrive/elsewhere.img" 2>&1 | Should -Match 'Permission denied'
        Get-Denial | Should -Contain (Get-Item "$TestDrive/elsewhere.img").FullName
    }
}
