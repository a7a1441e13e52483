# What a disk survives when its machine runs short: of memory, of room for its record, of a log, of the terminal it came from.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    New-Image $image 16MB

    # The value of a line of /proc/PID/status, in kilobytes.
    function Get-Memory([int] $ProcessId, [string] $Name) {
        [int] ((Get-Content "/proc/$ProcessId/status" | Where-Object { $_ -like "${Name}:*" }) -split '\s+')[1]
    }
}

Describe 'The memory of a worker' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is small' {
        $device = New-UblkDevice -Target Null -Size 64MB
        Get-Memory $device.ProcessId VmRSS | Should -BeLessOrEqual 7168
    }

    It 'never waits for its disk' {
        # PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE (linux/sched.h), of each thread.
        $device = New-UblkDevice -Target Null -Size 64MB -QueueCount 2
        $device.Queues.Count | Should -Be 2
        $device.Queues | ForEach-Object {
            $status = Get-Content -Raw "/proc/$($device.ProcessId)/task/$($_.ThreadId)/stat"
            [long] ($status.Substring($status.LastIndexOf(')') + 2) -split ' ')[6] -band 0x180000 | Should -Be 0x180000
        }
    }

    Context 'that is short' {
        BeforeAll {
            # Two groups, for a worker and for its disk's user; and a file system that takes memory of neither.
            $groups = '/sys/fs/cgroup/ublk-worker', '/sys/fs/cgroup/ublk-user'
            $under = "$TestDrive/under"
            Set-Content /sys/fs/cgroup/cgroup.subtree_control +memory
            $null = New-Item -ItemType Directory ($groups + $under)
            Invoke-Program modprobe null_blk nr_devices=1 memory_backed=1 gb=1
            Invoke-Program mkfs.ext4 -q /dev/nullb0
            Invoke-Program mount /dev/nullb0 $under
        }

        BeforeEach {
            New-Image "$under/disk.img" 128MB
        }

        AfterEach {
            swapoff /dev/ublkb0 2> $null
            Remove-EveryDevice
        }

        AfterAll {
            Invoke-Program umount $under
            Invoke-Program rmdir $groups
            Invoke-Program modprobe -r null_blk
        }

        It 'is not swapped to its disk, while that of others is' {
            # The worker starts in its group, so that its memory is the group's. Where systemd runs it has one anyway.
            Set-Content "$($groups[0])/cgroup.procs" $PID
            $device = New-UblkDevice -Target Loop -Path "$under/disk.img"
            Set-Content /sys/fs/cgroup/cgroup.procs $PID
            Invoke-Program mkswap $device
            Invoke-Program swapon $device
            $own = (Get-Content "/proc/$($device.ProcessId)/cgroup") -replace '^0::', '/sys/fs/cgroup'
            [long] (Get-Content "$own/memory.current") | Should -BeGreaterThan 1MB
            bash -c 'echo 1G > "$0/memory.reclaim"' $own 2> $null
            Get-Memory $device.ProcessId VmSwap | Should -Be 0

            # tail holds in memory what it is to print.
            New-Image "$TestDrive/random" 40MB -Random
            Set-Content "$($groups[1])/memory.max" 24M
            Invoke-Program bash -c 'echo $$ > "$0/cgroup.procs"; cat "$1" | tail -c 40M | cmp - "$1"' $groups[1] "$TestDrive/random"
            [int] ((Get-Content /sys/block/ublkb0/stat).Trim() -split '\s+')[6] | Should -BeGreaterThan 16384
            Get-Memory $device.ProcessId VmSwap | Should -Be 0
        }

        It 'suffices for a disk of many times its size' {
            $device = New-UblkDevice -Target Loop -Path "$under/disk.img" -DirectIO:$false
            Set-Content "$($groups[0])/cgroup.procs" $device.ProcessId
            Set-Content "$($groups[0])/memory.high" 8M
            Wait-Fio (Start-Fio $device '--size=48M', '--time_based=0', '--bs=64k', '--rw=write')
            (Get-Content "$($groups[0])/memory.events") -match '^high [1-9]' | Should -Not -BeNullOrEmpty
        }
    }
}

Describe 'A disk that is served without' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'room for its record is an error' {
        $null = New-Item -ItemType Directory -Force /run/ublk
        Invoke-Program mount -t tmpfs -o 'size=16k,mode=700' none /run/ublk
        try {
            Invoke-Failure dd if=/dev/zero of=/run/ublk/full bs=4k
            { New-UblkDevice -Target Loop -Path $image -ErrorAction Stop } | Should -Throw '*/run/ublk*No space left*' -ErrorId "StateDirectoryNotWritable,$new"
            Get-UblkDevice | Should -BeNullOrEmpty
            Wait-For { -not (pgrep -x ublk-worker) }
            Get-ChildItem /run/ublk -Name -Exclude lock | Should -Be 'full'
            Remove-Item /run/ublk/full
            New-UblkDevice -Target Loop -Path $image | Remove-UblkDevice
        }
        finally {
            Remove-EveryDevice
            Invoke-Program umount /run/ublk
        }
    }

    It 'room for a new record is recovered all the same' {
        $null = New-Item -ItemType Directory -Force /run/ublk
        Invoke-Program mount -t tmpfs -o 'size=16k,mode=700' none /run/ublk
        try {
            $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
            Invoke-Failure dd if=/dev/zero of=/run/ublk/full bs=4k
            Stop-Worker
            Wait-For { (Get-UblkDevice).State -eq 'Live' }
            Invoke-Program cmp $device $image
            Stop-Worker
            Wait-For { (Get-UblkDevice).State -eq 'Live' }
            (Get-UblkDevice).Target | Should -Be 'Loop'
            $device | Remove-UblkDevice
            Get-ChildItem /run/ublk -Name -Exclude lock | Should -Be 'full'
        }
        finally {
            Remove-EveryDevice
            Invoke-Program umount /run/ublk
        }
    }

    It 'its terminal goes on' {
        Invoke-Program script -qec "'$ublk' add -t loop -f '$image' --auto_restart --quiet" /dev/null
        $device = Get-UblkDevice
        Invoke-Program pkill -HUP -x ublk-worker
        Invoke-Program cmp $device $image
        (Get-UblkDevice).ProcessId | Should -Be $device.ProcessId
    }
}

Describe 'A disk whose log' -Tag Fire -Skip:((Test-Path /dev/log) -or (Test-Path /run/systemd/journal/socket)) {
    BeforeEach {
        Remove-Item /var/log/ublk.log -ErrorAction Ignore
        $daemon = [Net.Sockets.Socket]::new('Unix', 'Dgram', 'Unspecified')
    }

    AfterEach {
        $daemon.Dispose()
        Remove-Item /dev/log -ErrorAction Ignore
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'has no daemon is written to a file' {
        $null = New-UblkDevice -Target Loop -Path $image
        Wait-For { (Get-Content /var/log/ublk.log -ErrorAction Ignore) -match "device 0 is live: Loop $image" }
    }

    It 'is read by a daemon is sent to that' {
        $daemon.Bind([Net.Sockets.UnixDomainSocketEndPoint]::new('/dev/log'))
        $null = New-UblkDevice -Target Loop -Path $image
        $bytes = [byte[]]::new(1000)
        $count = $daemon.Receive($bytes)
        [Text.Encoding]::UTF8.GetString($bytes, 0, $count) | Should -Match "^<30>ublk\[\d+\]: 0 Information: device 0 is live: Loop $image"
        Test-Path /var/log/ublk.log | Should -BeFalse
    }

    It 'lost its daemon is written to a file' {
        $daemon.Bind([Net.Sockets.UnixDomainSocketEndPoint]::new('/dev/log'))
        $daemon.Dispose()
        $null = New-UblkDevice -Target Loop -Path $image
        Wait-For { (Get-Content /var/log/ublk.log -ErrorAction Ignore) -match 'device 0 is live' }
    }

    It 'has a daemon that hangs does not hang with it' {
        $daemon.Bind([Net.Sockets.UnixDomainSocketEndPoint]::new('/dev/log'))
        $client = [Net.Sockets.Socket]::new('Unix', 'Dgram', 'Unspecified')
        $client.Blocking = $false
        $client.Connect([Net.Sockets.UnixDomainSocketEndPoint]::new('/dev/log'))
        { while ($true) { $client.Send([byte[]] 1) } } | Should -Throw
        $client.Dispose()
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        Stop-Worker
        Wait-For { (Get-UblkDevice).State -eq 'Live' }
        Invoke-Program env kill -TERM (Get-UblkDevice).ProcessId
        Wait-For { -not (Get-Leftover) }
    }
}
