# What becomes of a disk whose worker dies, and how it gets the next.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    New-Image $image 16MB
    $start = 'Ublk.PowerShell.Commands.StartUblkDeviceCommand'
}

Describe 'A disk whose worker is killed' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'lets its users wait and does all requests again, with Reissue' -Tag Core {
        $device = New-UblkDevice -Target Loop -Path $image -Recovery Reissue
        $fio = Start-Fio $device
        Start-Sleep 1
        Stop-Worker
        (Get-UblkDevice).State | Should -Be 'Crashed'
        $fio.HasExited | Should -BeFalse
        $started = Start-UblkDevice -Id 0 -PassThru
        $started.State | Should -Be 'Live'
        $started.ProcessId | Should -Not -Be $device.ProcessId
        Stop-Fio $fio
        Invoke-Program cmp $device $image
    }

    It 'lets its users wait but fails requests in flight, with Queue' -Tag Core {
        $slow = New-UblkDevice -Target Loop -Path $image -Recovery Queue
        $fio = Start-Fio $slow '--continue_on_error=io', '--verify=0'
        Start-Sleep 1
        Stop-Worker
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Start-UblkDevice -Id 0
        Invoke-Program env kill -INT $fio.Id
        $fio.WaitForExit(120000) | Should -BeTrue
        Invoke-Program dd "if=$slow" of=/dev/null bs=64k iflag=direct
    }

    It 'fails requests until it is back, with Fail' {
        $device = New-UblkDevice -Target Loop -Path $image -Recovery Fail
        Stop-Worker
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Invoke-Failure dd "if=$device" of=/dev/null bs=4k count=1 iflag=direct | Should -Match 'Remote I/O error'
        $device | Start-UblkDevice
        Invoke-Program dd "if=$device" of=/dev/null bs=4k count=1 iflag=direct
    }

    It 'is gone without recovery, and made anew under its id' -Tag Core {
        $device = New-UblkDevice -Target Loop -Path $image
        Stop-Worker
        Test-Path $device.DevicePath | Should -BeFalse
        $device | Start-UblkDevice -PassThru | ForEach-Object State | Should -Be 'Live'
        Invoke-Program cmp $device $image
    }

    It 'keeps a mounted file system whole' {
        $device = New-UblkDevice -Target Loop -Path $image -Recovery Reissue
        $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device "$TestDrive/mnt"
        Stop-Worker
        $writer = Start-Process dd -PassThru -ArgumentList 'if=/dev/urandom', "of=$TestDrive/mnt/file", 'bs=64k', 'count=64', 'conv=fsync', 'status=none'
        Start-Sleep 1
        $writer.HasExited | Should -BeFalse
        Start-UblkDevice -Id 0
        $writer.WaitForExit(60000) | Should -BeTrue
        $writer.ExitCode | Should -Be 0
        Invoke-Program umount "$TestDrive/mnt"
        Invoke-Program e2fsck -fn $device
    }

    It 'is not given a worker while it has one' {
        $null = New-UblkDevice -Target Null -Size 64MB -Recovery Queue
        { Start-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw '*is live*' -ErrorId "DeviceStateInvalid,$start"
        (Get-UblkDevice).State | Should -Be 'Live'
    }

    It 'waits on when its file has become too small, or is another one' {
        $small = New-Image "$TestDrive/small.img" 8MB
        $null = New-UblkDevice -Target Loop -Path $small -Recovery Reissue
        Stop-Worker
        Invoke-Program truncate -s 4M $small
        { Start-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw '*8388608 bytes*4194304*' -ErrorId "InvalidBackingFile,$start"
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Invoke-Program truncate -s 8M $small
        Move-Item $small "$small.moved"
        $null = New-Item -ItemType SymbolicLink -Path $small -Value $image
        { Start-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw '*is not the file*' -ErrorId "InvalidBackingFile,$start"
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Remove-Item $small
        Move-Item "$small.moved" $small
        Start-UblkDevice -Id 0
        (Get-UblkDevice).State | Should -Be 'Live'
    }

    It 'waits on when its file was replaced by a copy, until that is accepted' {
        $file = New-Image "$TestDrive/replaced.img" 8MB
        $null = New-UblkDevice -Target Loop -Path $file -Recovery Reissue
        Stop-Worker
        Invoke-Program bash -c 'rm "$0"; truncate -s 8M "$0"' $file
        { Start-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw '*Start-UblkDevice 0 -AcceptFile*' -ErrorId "InvalidBackingFile,$start"
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Start-UblkDevice -Id 0 -AcceptFile
        (Get-UblkDevice).State | Should -Be 'Live'
    }

    It 'waits on while what is behind it can only be read' {
        $lower = New-UblkDevice -Target Loop -Path $image
        $null = New-UblkDevice -Target Loop -Path $lower -Recovery Reissue
        Stop-Worker 1
        Invoke-Program blockdev --setro $lower
        { Start-UblkDevice -Id 1 -ErrorAction Stop } | Should -Throw '*only for reading*' -ErrorId "InvalidBackingFile,$start"
        (Get-UblkDevice 1).State | Should -Be 'Crashed'
        Invoke-Program blockdev --setrw $lower
        Start-UblkDevice -Id 1
        Invoke-Program dd if=/dev/zero of=/dev/ublkb1 bs=4k count=1 oflag=direct
        Remove-UblkDevice 1
    }

    It 'is left as it is while it is gone but mounted' {
        $device = New-UblkDevice -Target Loop -Path $image
        $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device "$TestDrive/mnt"
        Stop-Worker
        { Start-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw "*mounted on $TestDrive/mnt*" -ErrorId "DeviceInUse,$start"
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Invoke-Program umount "$TestDrive/mnt"
        Start-UblkDevice -Id 0
        (Get-UblkDevice).State | Should -Be 'Live'
    }

    It 'keeps its new worker though it cannot have its name' {
        $null = New-UblkDevice -Target Loop -Path $image -Recovery Queue -Name data
        Stop-Worker
        Remove-Item /dev/disk/by-ublk/data
        Set-Content /dev/disk/by-ublk/data 'no link'
        Start-UblkDevice -Id 0 -WarningVariable warning -WarningAction SilentlyContinue
        $warning | Should -Match 'is live, but'
        (Get-UblkDevice).State | Should -Be 'Live'
        Remove-Item /dev/disk/by-ublk/data
    }

    It 'is not restored without its record' {
        $null = New-UblkDevice -Target Null -Size 64MB -Recovery Queue
        Stop-Worker
        Remove-Item /run/ublk/0.json
        { Start-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw '*Remove-UblkDevice*' -ErrorId "DeviceForeign,$start"
    }

    It 'comes back after a worker that dies while it recovers' -Tag Core {
        $null = New-UblkDevice -Target Loop -Path $image -Recovery Reissue
        Stop-Worker
        Use-Worker '"$real" "$@" & kill -KILL $!' {
            { Start-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw -ErrorId "WorkerDied,$start"
        }
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Start-UblkDevice -Id 0
        (Get-UblkDevice).State | Should -Be 'Live'
    }
}

Describe 'A supervisor' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'gives a disk in use worker after worker' -Tag Core {
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        $device.Recovery | Should -Be 'Reissue'
        $device.Restarts | Should -Be 0
        $fio = Start-Fio $device
        1..3 | ForEach-Object {
            $number = $_
            Start-Sleep 1
            Invoke-Program env kill -KILL (Get-UblkDevice).ProcessId
            Wait-For { ($now = Get-UblkDevice).State -eq 'Live' -and $now.Restarts -eq $number }
        }
        Stop-Fio $fio
        Invoke-Program cmp $device $image
        (Get-UblkDevice).LastExit | Should -Be 'SIGKILL'
        (Get-UblkDevice | Format-List | Out-String) | Should -Match 'Restarts +: 3'
    }

    It 'ends with its device' {
        New-UblkDevice -Target Null -Size 64MB -AutoRestart | Remove-UblkDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'leaves a device that is stopped alone, and comes back with it' {
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        $device | Stop-UblkDevice
        pgrep -x ublk-worker | Should -BeNullOrEmpty
        $device | Start-UblkDevice
        Stop-Worker
        Wait-For { (Get-UblkDevice).State -eq 'Live' }
        (Get-UblkDevice).Restarts | Should -Be 1
    }

    It 'leaves a device that is suspended alone, and comes back with it' {
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        ($device | Suspend-UblkDevice -PassThru).State | Should -Be 'Suspended'
        pgrep -x ublk-worker | Should -BeNullOrEmpty
        Invoke-Program env kill -KILL ($device | Resume-UblkDevice -PassThru).ProcessId
        Wait-For { ($now = Get-UblkDevice).State -eq 'Live' -and $now.Restarts -eq 1 }
    }

    It 'passes SIGTERM on' {
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        Invoke-Program env kill -TERM (Invoke-Program ps -o ppid= -p $device.ProcessId).Trim()
        Wait-For { -not (Get-Leftover) }
    }

    It 'removes its device on SIGTERM while no worker serves it' {
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        $supervisor = (Invoke-Program ps -o ppid= -p $device.ProcessId).Trim()

        # Without the file each next worker fails, and the supervisor waits longer before the one after.
        Rename-Item $image 'away.img'
        try {
            Stop-Worker
            Wait-For { (Get-UblkDevice).Restarts -ge 3 }
            Invoke-Program env kill -TERM $supervisor
            Wait-For { -not (Get-Leftover) }
        }
        finally {
            Rename-Item "$TestDrive/away.img" 'disk.img'
        }
    }

    It 'can die and be replaced' {
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        Invoke-Program pkill -KILL -x ublk-worker
        Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
        $device | Start-UblkDevice
        Stop-Worker
        Wait-For { (Get-UblkDevice).State -eq 'Live' }
    }

    It 'is refused to a device that cannot wait' {
        { New-UblkDevice -Target Null -AutoRestart -Recovery None -ErrorAction Stop } | Should -Throw '*outlives*' -ErrorId "InvalidArgument,$new"
    }
}

Describe 'A disk that is' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'stopped goes, and comes back as it was when started' -Tag Core {
        $device = New-UblkDevice -Target Loop -Path $image -QueueDepth 32
        Invoke-Program dd if=/dev/urandom "of=$device" bs=64k count=8 oflag=direct
        $stopped = $device | Stop-UblkDevice -PassThru
        $stopped.State, $stopped.Target, $stopped.BackingPath | Should -Be 'Stopped', 'Loop', $image
        Test-Path $device.DevicePath | Should -BeFalse
        pgrep -x ublk-worker | Should -BeNullOrEmpty
        $started = $device | Start-UblkDevice -PassThru
        $started.State, $started.QueueDepth, $started.Id | Should -Be 'Live', 32, $device.Id
        Invoke-Program cmp $device $image
    }

    It 'started again is open to the same users as before' {
        $device = New-UblkDevice -Target Loop -Path $image
        $device | Stop-UblkDevice
        $device | Start-UblkDevice
        Invoke-Program chmod 644 $device
        Invoke-Program setpriv --reuid=daemon --regid=daemon --clear-groups dd "if=$device" of=/dev/null bs=4k count=1 status=none
    }

    It 'mounted is not stopped' {
        $device = New-UblkDevice -Target Loop -Path $image
        $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device "$TestDrive/mnt"
        { $device | Stop-UblkDevice -ErrorAction Stop } | Should -Throw "*mounted on $TestDrive/mnt*" -ErrorId 'DeviceInUse,*'
        Invoke-Program umount "$TestDrive/mnt"
    }

    It 'suspended lets its users wait, and goes on when resumed' {
        $device = New-UblkDevice -Target Loop -Path $image -Recovery Queue
        $fio = Start-Fio $device
        Start-Sleep 1
        ($device | Suspend-UblkDevice -PassThru).State | Should -Be 'Suspended'
        pgrep -x ublk-worker | Should -BeNullOrEmpty
        $fio.HasExited | Should -BeFalse
        ($device | Resume-UblkDevice -PassThru).State | Should -Be 'Live'
        Stop-Fio $fio
        Invoke-Program cmp $device $image
    }

    It 'is outdated where its worker is of another version, until it is updated' {
        $null = New-UblkDevice -Target Null -Size 64MB -Recovery Reissue
        (Get-UblkDevice).Outdated | Should -BeFalse
        (Get-Content -Raw /run/ublk/0.json) -replace '"WorkerVersion":"[^"]+"', '"WorkerVersion":"0.0.1"' | Set-Content -NoNewline /run/ublk/0.json
        (Get-UblkDevice).Outdated | Should -BeTrue
        Get-UblkDevice | Where-Object Outdated | Update-UblkDevice
        (Get-UblkDevice).Outdated | Should -BeFalse
    }

    It 'in use is updated, with its supervisor' {
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart -QueueCount 2
        $fio = Start-Fio $device
        1..3 | ForEach-Object {
            $before = (Get-UblkDevice).ProcessId
            $after = Update-UblkDevice -Id 0 -PassThru
            $after.State | Should -Be 'Live'
            $after.ProcessId | Should -Not -Be $before
        }
        Stop-Fio $fio
        (Get-UblkDevice).Restarts | Should -Be 0
        (pgrep -x ublk-worker).Count | Should -Be 2
    }

    It 'without recovery is not suspended' {
        $device = New-UblkDevice -Target Null -Size 64MB
        { $device | Suspend-UblkDevice -ErrorAction Stop } | Should -Throw '*-Recovery*' -ErrorId 'NotSupported,*'
        (Get-UblkDevice).State | Should -Be 'Live'
    }

    It 'is suspended where the driver can do that, and else is left alone' -Tag Core {
        $device = New-UblkDevice -Target Null -Size 64MB -Recovery Queue
        if ($device.Flags -band [Ublk.Control.UblkFeatures]::Quiesce) {
            ($device | Suspend-UblkDevice -PassThru).State | Should -Be 'Suspended'
        }
        else {
            { $device | Suspend-UblkDevice -ErrorAction Stop } | Should -Throw '*6.16*' -ErrorId 'NotSupported,*'
            (Get-UblkDevice).State | Should -Be 'Live'
        }
    }
}
