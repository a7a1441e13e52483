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
        New-Image /srv/ublk-specs/disk.img 16MB
        New-Image "$TestDrive/elsewhere.img" 16MB
        New-Image "$TestDrive/data" 4MB -Random

        # What the profile does not permit, as the kernel logs it.
        function Get-Denial {
            Invoke-Program dmesg | Select-String 'apparmor="(ALLOWED|DENIED)".* name="(.*?)"' | ForEach-Object { $_.Matches[0].Groups[2].Value }
        }
    }

    AfterEach {
        Invoke-Program $command del -a
        Get-Leftover | Should -BeNullOrEmpty
    }

    AfterAll {
        Invoke-Program apparmor_parser --remove $profilePath
        Remove-Item /usr/lib/ublk, /srv/ublk-specs -Recurse
    }

    It 'serves, dies, is replaced and removes its disk in <_> mode' -ForEach 'complain', 'enforce' {
        Invoke-Program apparmor_parser --replace $($_ -eq 'complain' ? '--complain' : '--quiet') $profilePath
        Invoke-Program dmesg --clear
        Invoke-Program $command add -f /srv/ublk-specs/disk.img --auto_restart
        $worker = (Get-UblkDevice).ProcessId
        Get-Content "/proc/$worker/attr/current" | Should -Be "ublk-worker ($_)"
        Invoke-Program dd "if=$TestDrive/data" of=/dev/ublkb0 bs=1M oflag=direct conv=fsync status=none
        Invoke-Program env kill -KILL $worker
        Wait-For { ($now = Get-UblkDevice).State -eq 'Live' -and $now.ProcessId -ne $worker }
        Invoke-Program cmp -n 4194304 "$TestDrive/data" /dev/ublkb0
        Invoke-Program $command del -n 0
        Get-Denial | Should -BeNullOrEmpty
    }

    It 'opens no file elsewhere when it is enforced' {
        & $command add -f "$TestDrive/elsewhere.img" 2>&1 | Should -Match 'Permission denied'
        Get-Denial | Should -Contain (Get-Item "$TestDrive/elsewhere.img").FullName
    }
}
