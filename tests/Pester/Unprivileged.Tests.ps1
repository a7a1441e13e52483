# Devices of ordinary users: what is theirs, what others see of them, and what it takes.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    . $PSScriptRoot/UserShell.ps1
    $install = 'Ublk.PowerShell.Commands.InstallUblkUdevRuleCommand'
    $rules = '/etc/udev/rules.d/59-ublk.rules'
    $slow = '/etc/udev/rules.d/10-slow.rules'
    $limit = '/sys/module/ublk_drv/parameters/ublks_max'

    function Get-UserLeftover {
        Get-Leftover
        Get-ChildItem /run/user/*/ublk/*.json -ErrorAction Ignore | ForEach-Object FullName
    }

    $ownUdev = -not (Test-Path /run/udev/control)
    if ($ownUdev) {
        Invoke-Program /lib/systemd/systemd-udevd --daemon
    }
    Install-ForEverybody
    $alice = Start-UserShell daemon
    Invoke-Program install -d -m 700 -o bin -g bin /run/user/2
    Invoke-AsUser $alice "truncate -s 16M disk.img; 'ready'" | Should -Be 'ready'
    $image = "$TestDrive/daemon/disk.img"
    $record = '/run/user/1/ublk/0.json'
    $make = '$null = New-UblkDevice -Target Loop -Path disk.img -Unprivileged'
}

AfterAll {
    Stop-UserShell $alice
    Uninstall-ForEverybody
    Remove-EveryDevice
    Uninstall-UblkUdevRule
    if ($ownUdev) {
        Invoke-Program udevadm control --exit
    }
    Remove-Item /run/user/1/ublk, /run/user/2/ublk -Recurse -Force -ErrorAction Ignore
}

Describe 'An ordinary user of a machine without the udev rules' -Tag Unprivileged {
    It 'is shown devices as far as the kernel tells, and makes none' {
        $null = New-UblkDevice -Target Null -Size 1GB
        try {
            Invoke-AsUser $alice '
                $device = Get-UblkDevice -WarningVariable warnings -WarningAction SilentlyContinue
                "$($device.Id) $($device.Size) [$($device.State)] $($device.IsComplete)"
                "$warnings" -match "root"' | Should -Be '0 1073741824 [] False', 'True'
            $answer = Send-Script $alice 'New-UblkDevice -Target Null'
            $answer.Error | Should -Be "PermissionDenied,$new"
            $answer.Message | Should -Match 'root'
            (Get-UblkDevice).Id | Should -Be 0
        }
        finally {
            Remove-EveryDevice
        }
    }
}

Describe 'An ordinary user' -Tag Unprivileged {
    BeforeAll {
        Install-UblkUdevRule
    }

    AfterEach {
        Remove-EveryDevice

        # What udev runs for a node, it may run when the node is gone.
        Invoke-Program udevadm settle
        Get-UserLeftover | Should -BeNullOrEmpty
    }

    It 'makes a disk of a file, uses it, and removes it' {
        Invoke-AsUser $alice "$make; Get-UblkDevice | ForEach-Object { `"`$(`$_.Id) `$(`$_.State) `$(`$_.Target) `$(`$_.BackingPath) `$(`$_.Owner) `$(`$_.IsComplete)`" }" |
            Should -Be "0 Live Loop $image daemon True"
        Invoke-Program stat -c '%U:%G %a' /dev/ublkc0 /dev/ublkb0 | Should -Be 'daemon:daemon 600', 'daemon:daemon 600'
        Invoke-Program ps -o user= -C ublk-worker | Should -Be 'daemon'
        Get-Privilege (Get-UblkDevice).ProcessId | Should -Contain 'NoNewPrivs: 1'
        Invoke-Program stat -c '%U %a' /run/user/1/ublk | Should -Be 'daemon 700'
        (Get-UblkDevice).Flags | Should -Match 'UnprivilegedDev'
        Invoke-Program udevadm info --query property /dev/ublkb0 | Should -Contain 'UDISKS_IGNORE=1'
        $lines = Invoke-AsUser $alice '
            dd if=/dev/urandom of=expected bs=1M count=4 status=none
            dd if=expected of=/dev/ublkb0 bs=1M oflag=direct status=none
            cmp expected disk.img -n 4194304; "cmp: $LASTEXITCODE"
            fio --name=v --filename=/dev/ublkb0 --rw=randwrite --bs=4k --size=4M --direct=1 --verify=xxhash --do_verify=1 --output=fio.log; "fio: $LASTEXITCODE"
            /sbin/mkfs.ext4 -q -F /dev/ublkb0; "mkfs: $LASTEXITCODE"
            Remove-UblkDevice 0; @(Get-UblkDevice).Count'
        $lines | Should -Be 'cmp: 0', 'fio: 0', 'mkfs: 0', '0'
        Get-UserLeftover | Should -BeNullOrEmpty
        Invoke-Program e2fsck -fn $image
    }

    It 'makes a disk that keeps nothing' {
        Invoke-AsUser $alice '(New-UblkDevice -Target Null -Size 1GB -Unprivileged).DevicePath
            dd if=/dev/ublkb0 of=/dev/null bs=1M count=4 iflag=direct status=none; $LASTEXITCODE' | Should -Be '/dev/ublkb0', '0'
    }

    It 'makes a disk of its own without -Unprivileged' {
        Invoke-AsUser $alice '(New-UblkDevice -Target Null -Size 64MB).Owner' | Should -Be 'daemon'
    }

    It 'stops a disk, and starts it again' {
        Invoke-AsUser $alice "$make; Stop-UblkDevice 0; (Get-UblkDevice 0).State; Start-UblkDevice 0; (Get-UblkDevice 0).State" | Should -Be 'Stopped', 'Live'
        Invoke-AsUser $alice 'dd if=/dev/ublkb0 of=/dev/null bs=1M iflag=direct status=none; $LASTEXITCODE' | Should -Be '0'
    }

    It 'removes a disk whose worker was killed' {
        Invoke-AsUser $alice $make
        Invoke-Program pkill -KILL -x ublk-worker
        Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
        Invoke-AsUser $alice 'Remove-UblkDevice 0'
        Get-UserLeftover | Should -BeNullOrEmpty
    }

    It 'has a disk that is removed when its worker is told to end' {
        Invoke-AsUser $alice "$make; kill (Get-UblkDevice).ProcessId"
        Wait-For { -not (Get-UserLeftover) }
    }

    It 'sees only public properties of others'' devices, and can neither remove nor open them' {
        $null = New-UblkDevice -Target Null -Size 1GB
        $asBob = '--reuid=bin', '--regid=bin', '--clear-groups', 'env', 'XDG_RUNTIME_DIR=/run/user/2'
        Invoke-Program setpriv @asBob (Get-Item "$sharedModule/worker/linux-*/ublk").FullName add -t null -s 16M
        Invoke-AsUser $alice '
            Get-UblkDevice -WarningAction Ignore | ForEach-Object { "$($_.Id) $($_.Size) [$($_.State)$($_.Target)$($_.BackingPath)$($_.Owner)$($_.ProcessId)] $($_.IsComplete)" }' |
            Should -Be '0 1073741824 [] False', '1 16777216 [] False'
        foreach ($id in 0, 1) {
            foreach ($force in '', '-Force') {
                $answer = Send-Script $alice "Remove-UblkDevice $id $force"
                $answer.Error | Should -Be "PermissionDenied,$remove"
                $answer.Message | Should -Match 'owner'
            }
        }

        # Not even where the mode of a node would permit it.
        Invoke-Program chmod 666 /dev/ublkb1
        Invoke-AsUser $alice 'dd if=/dev/ublkb1 of=/dev/null count=1 2>/dev/null; $LASTEXITCODE' | Should -Be '1'
        (Get-UblkDevice).State | Should -Be 'Live', 'Live'
        (Get-UblkDevice).Owner | Should -Be 'root', 'bin'
    }

    It 'has a disk that root sees and removes' {
        Invoke-AsUser $alice $make
        $device = Get-UblkDevice
        $device.Owner, $device.Target, $device.BackingPath | Should -Be 'daemon', 'Loop', $image
        $device | Remove-UblkDevice
        Get-UserLeftover | Should -BeNullOrEmpty
    }

    It 'cannot make root serve what the record of a disk names' {
        Invoke-AsUser $alice "$make; Stop-UblkDevice 0"
        { Start-UblkDevice 0 -ErrorAction Stop } | Should -Throw '*daemon*' -ErrorId 'PermissionDenied,*'
        (Get-UblkDevice).State | Should -Be 'Stopped'
    }

    It 'cannot forge what root sees: a record that is <What> is none' -ForEach @(
        @{ What = 'in another user''s directory'; Forge = 'install -D -o bin -g bin $record /run/user/2/ublk/0.json; rm $record' }
        @{ What = 'another user''s'; Forge = 'chown bin $record' }
        @{ What = 'a link'; Forge = 'mv $record $record.real; ln -s $record.real $record' }
        @{ What = 'a pipe'; Forge = 'mv $record $record.real; mkfifo $record; chown daemon $record' }
        @{ What = 'of another device'; Forge = 'sed -i "s/.Cookie.:/&1/" $record; chown daemon $record' }
        @{ What = 'one that commands the terminal'; Forge = 'sed -i "s/.Target.:./&\\\\u001b[31m/" $record; chown daemon $record' }
        @{ What = 'broken'; Forge = 'echo "{\"Specification\":null,\"ProcessId\":1,\"StartTime\":\"2026-01-01\"}" > $record' }
    ) {
        Invoke-AsUser $alice $make
        (Get-UblkDevice).Target | Should -Be 'Loop'
        Invoke-Program bash -c "record=$record; $Forge"
        (Get-UblkDevice).Target | Should -BeNullOrEmpty
        (Get-UblkDevice).State | Should -Be 'Live'
        Remove-EveryDevice
        Invoke-Program bash -c "rm -f $record* /run/user/2/ublk/0.json"
    }

    It 'cannot give a disk a name of root''s' {
        Invoke-AsUser $alice $make
        Invoke-Program bash -c "sed -i 's/`"Target`":/`"DeviceName`":`"data`",&/' $record; chown daemon $record"
        (Get-UblkDevice).Target | Should -Be 'Loop'
        (Get-UblkDevice).Symlink | Should -BeNullOrEmpty
    }

    It 'whose worker hangs holds up nobody who looks' {
        Invoke-AsUser $alice $make
        $worker = (Get-UblkDevice).ProcessId
        Invoke-Program env kill -STOP $worker

        # A read that nobody answers, and a stop that waits for it with the device's lock.
        Invoke-Program bash -c 'dd if=/dev/ublkb0 of=/dev/null bs=4k count=1 iflag=direct > /dev/null 2>&1 &'
        Wait-For { (Get-Content /sys/block/ublkb0/inflight) -match '^\s*1\s' }
        $removal = Start-Process (Get-ChildItem "$modulePath/worker/linux-*/ublk-worker").FullName -ArgumentList remove, 0 -PassThru
        Wait-For { (Invoke-Program bash -c 'cat /proc/$0/task/*/stat' $removal.Id) -match 'iou-wrk.* D ' }
        (Get-UblkDevice).Owner | Should -Be 'daemon'
        Get-Content "/proc/$worker/stat" | Should -Match '\) T '
        $removal.WaitForExit(60000) | Should -BeTrue
    }

    It 'is told where the limit of unprivileged devices is' {
        $former = Get-Content $limit
        Set-Content $limit 1
        try {
            Invoke-AsUser $alice $make
            $answer = Send-Script $alice 'New-UblkDevice -Target Null -Unprivileged'
            $answer.Error | Should -Be "DeviceLimitReached,$new"
            $answer.Message | Should -Match $limit
            (Get-UblkDevice).Id | Should -Be 0
        }
        finally {
            Set-Content $limit $former
        }
    }

    It 'is told what cannot be: <Script>' -ForEach @(
        @{ Script = 'New-UblkDevice -Target Null -Unprivileged:$false'; Says = '-Unprivileged'; Id = 'PermissionDenied' }
        @{ Script = 'New-UblkDevice -Target Null -Unprivileged -Recovery Queue'; Says = 'Recovery'; Id = 'InvalidArgument' }
        @{ Script = 'New-UblkDevice -Target Null -Unprivileged -AutoRestart'; Says = 'Recovery'; Id = 'InvalidArgument' }
        @{ Script = 'New-UblkDevice -Target Null -Unprivileged -BufferMode ZeroCopy'; Says = 'copies'; Id = 'InvalidArgument' }
        @{ Script = 'New-UblkDevice -Target Loop -Path /etc/shadow -Unprivileged'; Says = '/etc/shadow'; Id = 'PermissionDenied' }
        @{ Script = 'Install-UblkUdevRule'; Says = 'root'; Id = 'PermissionDenied' }
        @{ Script = 'Uninstall-UblkUdevRule'; Says = 'root'; Id = 'PermissionDenied' }
    ) {
        $answer = Send-Script $alice $Script
        $answer.Error | Should -BeLike "$Id,*"
        $answer.Message | Should -Match $Says
    }

    It 'is told that records need a place' {
        try {
            $answer = Send-Script $alice '$env:XDG_RUNTIME_DIR = "/run/user/2"; New-UblkDevice -Target Null -Unprivileged'
        }
        finally {
            Invoke-AsUser $alice '$env:XDG_RUNTIME_DIR = "/run/user/1"'
        }
        $answer.Error | Should -Be "StateDirectoryNotWritable,$new"
        $answer.Message | Should -Match 'XDG_RUNTIME_DIR'
    }

    It 'who is root makes no unprivileged device' {
        { New-UblkDevice -Target Null -Unprivileged -ErrorAction Stop } | Should -Throw '*-Unprivileged*' -ErrorId "InvalidArgument,$new"
    }
}

Describe 'The udev rules' -Tag Unprivileged {
    BeforeAll {
        Install-UblkUdevRule
    }

    It 'are root''s, and so is what they run' {
        Invoke-Program stat -c '%U:%G %a' $rules /usr/local/lib/ublk/ublk-worker /dev/ublk-control |
            Should -Be 'root:root 644', 'root:root 755', 'root:root 666'
        Invoke-Program cmp /usr/local/lib/ublk/ublk-worker (Get-ChildItem "$modulePath/worker/linux-*/ublk-worker" | ForEach-Object FullName)
    }

    It 'open the control node to one group with -Group' {
        { Install-UblkUdevRule -Group 'no such group' -ErrorAction Stop } | Should -Throw '*getent group*' -ErrorId "InvalidArgument,$install"
        Install-UblkUdevRule -Group daemon
        Invoke-Program stat -c '%U:%G %a' /dev/ublk-control | Should -Be 'root:daemon 660'
        Install-UblkUdevRule
        Invoke-Program stat -c '%a' /dev/ublk-control | Should -Be '666'
    }

    It 'leave root''s devices as they are' {
        $null = New-UblkDevice -Target Null
        Invoke-Program udevadm settle
        Invoke-Program stat -c '%U' /dev/ublkc0 /dev/ublkb0 | Should -Be 'root', 'root'
        Remove-EveryDevice
    }

    It 'are not touched by -WhatIf' {
        Uninstall-UblkUdevRule -WhatIf
        $rules | Should -Exist
    }

    It 'when they are missing, an ordinary user is told to ask for them, and nothing is left behind' {
        Uninstall-UblkUdevRule
        try {
            $rules, '/usr/local/lib/ublk' | Should -Not -Exist
            Invoke-Program stat -c '%a' /dev/ublk-control | Should -Be '600'
            foreach ($mode in '600', '666') {
                Invoke-Program chmod $mode /dev/ublk-control
                $answer = Send-Script $alice $make
                $answer.Error | Should -Be "PermissionDenied,$new"
                $answer.Message | Should -Match 'Install-UblkUdevRule'
                Get-UserLeftover | Should -BeNullOrEmpty
            }
        }
        finally {
            Install-UblkUdevRule
        }
    }

    It 'leave alone what else is in the folder of their program' {
        $other = '/usr/local/lib/ublk/linux-x64/ublk'
        $null = New-Item -Force $other
        try {
            Uninstall-UblkUdevRule
            $other | Should -Exist
            '/usr/local/lib/ublk/ublk-worker' | Should -Not -Exist
        }
        finally {
            Remove-Item (Split-Path $other) -Recurse
            Install-UblkUdevRule
        }
    }

    It 'may take their time' {
        Set-Content $slow 'KERNEL=="ublk[bc]*", PROGRAM=="/bin/sleep 1"'
        Invoke-Program udevadm control --reload
        try {
            Invoke-AsUser $alice "$make; (Get-UblkDevice).State" | Should -Be 'Live'
        }
        finally {
            Remove-Item $slow
            Invoke-Program udevadm control --reload
            Remove-EveryDevice
        }
    }

    It 'that give the node to nobody leave a device that root has to remove, and its maker is told so' {
        Invoke-Program mv /usr/local/lib/ublk/ublk-worker /usr/local/lib/ublk/away
        try {
            $answer = Send-Script $alice $make
            $answer.Error | Should -Be "PermissionDenied,$new"
            $answer.Message | Should -Match 'Install-UblkUdevRule.*Remove-UblkDevice 0'
            (Get-UblkDevice).Owner | Should -Be 'daemon'
        }
        finally {
            Invoke-Program mv /usr/local/lib/ublk/away /usr/local/lib/ublk/ublk-worker
            Remove-EveryDevice
        }
        Get-UserLeftover | Should -BeNullOrEmpty
    }

    It 'that cannot be applied are not left behind' -Skip:(Test-Path /run/udev/control) {
        Uninstall-UblkUdevRule
        Invoke-Program udevadm control --exit
        try {
            Wait-For { -not (pgrep -x systemd-udevd) }
            { Install-UblkUdevRule } | Should -Throw '*udev*' -ErrorId "OperationFailed,$install"
            $rules, '/usr/local/lib/ublk' | Should -Not -Exist
        }
        finally {
            Invoke-Program /lib/systemd/systemd-udevd --daemon
            Install-UblkUdevRule
        }
    }
}
