# What a disk survives when its machine runs short: of memory, of room for its record, of a log, of the terminal it came from.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount
    New-Image $image 16MB

    # The value of a line of /proc/PID/status, in kilobytes.
    function Get-Memory([int] $ProcessId, [string] $Name) {
        [int] ((Get-Content "/proc/$ProcessId/status" | Where-Object { $_ -like "${Name}:*" }) -split '\s+')[1]
    }
}

Describe 'The memory of a worker' -Tag Fire {
    AfterEach {
        Remove-AllDevices
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is small' {
        $device = New-UblkDevice -Target Null -Size 64MB
        Get-Memory $device.ProcessId VmRSS | Should -BeLessOrEqual 6144
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

    # The worker's group is told to swap all it can to the worker's own disk, and then lets another swap there.
    It 'is not swapped to its disk' -Tag Core -Skip:(-not (Test-Path /sys/fs/cgroup/cgroup.controllers)) {
        Invoke-Program modprobe null_blk nr_devices=1 memory_backed=1 gb=1
        $group = '/sys/fs/cgroup/ublk-specs'
        try {
            Invoke-Program mkfs.ext4 -q /dev/nullb0
            Invoke-Program mount /dev/nullb0 $mount
            New-Image "$mount/disk.img" 256MB
            $device = New-UblkDevice -Target Loop -Path "$mount/disk.img"
            Invoke-Program mkswap $device
            Invoke-Program swapon $device
            Set-Content /sys/fs/cgroup/cgroup.subtree_control +memory
            $null = New-Item -ItemType Directory $group
            Set-Content "$group/cgroup.procs" $device.ProcessId
            bash -c 'echo 1G > "$0/memory.reclaim"' $group 2> $null
            Get-Memory $device.ProcessId VmSwap | Should -Be 0

            Set-Content "$group/memory.max" 48M
            Invoke-Program bash -c 'echo $$ > "$0/cgroup.procs"; head -c 64M /dev/urandom | tail -c 64M | md5sum' $group
            [long] (Get-Content "/sys/block/ublkb0/stat").Trim().Split(' ', [StringSplitOptions]::RemoveEmptyEntries)[6] | Should -BeGreaterThan 16384
            Get-Memory $device.ProcessId VmSwap | Should -Be 0
        }
        finally {
            Invoke-Program bash -c '! grep ublkb /proc/swaps || swapoff /dev/ublkb0'
            Remove-AllDevices
            Invoke-Program umount $mount
            Invoke-Program rmdir $group
            Invoke-Program modprobe -r null_blk
        }
    }

    # The file system's dirty pages can be freed only by the worker, which is in the group that is short of memory.
    It 'suffices to write back a file system that takes up all there is' {
        Invoke-Program modprobe null_blk nr_devices=1 memory_backed=1 gb=1
        $group = '/sys/fs/cgroup/ublk-specs'
        $under = "$TestDrive/under"
        $null = New-Item -ItemType Directory -Force $under
        try {
            Invoke-Program mkfs.ext4 -q /dev/nullb0
            Invoke-Program mount /dev/nullb0 $under
            New-Image "$under/disk.img" 256MB
            $device = New-UblkDevice -Target Loop -Path "$under/disk.img" -DirectIO:$false
            Invoke-Program mkfs.ext4 -q $device
            Invoke-Program mount $device $mount
            Set-Content /sys/fs/cgroup/cgroup.subtree_control +memory
            $null = New-Item -ItemType Directory $group
            Set-Content "$group/cgroup.procs" $device.ProcessId
            Set-Content "$group/memory.high" 24M
            Invoke-Program bash -c 'echo $$ > "$0/cgroup.procs"; shift; exec fio "$@"' $group fio --name=a "--directory=$mount" --rw=write `
                --bs=64k --size=96M --ioengine=psync --verify=crc32c --verify_fatal=1 --end_fsync=1 --output-format=terse
            Invoke-Program umount $mount
            Invoke-Program e2fsck -fn $device
        }
        finally {
            $null = umount $mount 2>&1
            Remove-AllDevices
            Invoke-Program umount $under
            Invoke-Program rmdir $group
            Invoke-Program modprobe -r null_blk
        }
    }
}
