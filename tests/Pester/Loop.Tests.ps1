# The Loop target: what becomes of requests in the file behind the disk.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount

    # Kilobytes a file takes up.
    function Get-Usage([string] $Path) {
        [int] ((Invoke-Program du -k $Path) -split '\s')[0]
    }

    # Whether the worker has the image open for direct I/O: O_DIRECT is 040000, in octal (open(2)).
    function Test-DirectIO($Device) {
        $descriptor = Get-ChildItem "/proc/$($Device.ProcessId)/fd" | Where-Object LinkTarget -EQ $Device.BackingPath
        $flags = Get-Content "/proc/$($Device.ProcessId)/fdinfo/$($descriptor[0].Name)" | Where-Object { $_ -like 'flags:*' }
        ([Convert]::ToInt32(($flags -split '\s+')[1], 8) -band [Convert]::ToInt32('040000', 8)) -ne 0
    }
}

Describe 'A loop disk' {
    AfterEach {
        Remove-EveryDevice
        Remove-Item $image -ErrorAction Ignore
    }

    It 'gives discarded blocks back to the file system' -Tag Core {
        New-Image $image 16MB -Random
        $device = New-UblkDevice -Target Loop -Path $image
        $before = Get-Usage $image
        Invoke-Program blkdiscard -o 0 -l 8MiB $device
        Invoke-Program sync $image
        Get-Usage $image | Should -BeLessOrEqual ($before - 8000)
        Invoke-Program cmp -n 8MiB $device /dev/zero
    }

    It 'over a disk that vanishes fails, and does not read as zeroes' {
        New-Image $image 16MB -Random
        $under = New-UblkDevice -Target Loop -Path $image
        $device = New-UblkDevice -Target Loop -Path $under.DevicePath
        Invoke-Program cmp -n 1MiB $device $image
        Remove-UblkDevice $under.Id -Force
        Invoke-Failure dd "if=$device" iflag=direct bs=64k skip=32 count=1 of=/dev/null | Should -Match 'Input/output error'
    }

    It 'is not made of an image of another format unless that is wanted' {
        Invoke-Program qemu-img create -q -f qcow2 "$TestDrive/image" 4M
        { New-UblkDevice -Target Loop -Path "$TestDrive/image" -ErrorAction Stop } | Should -Throw '*-Target Qcow2*' -ErrorId "InvalidBackingFile,$new"
        $raw = New-UblkDevice -Target Loop -Path "$TestDrive/image" -Format Raw
        Invoke-Program cmp -n 65536 $raw "$TestDrive/image"

        # What clients write is not judged when the disk comes back.
        $raw | Stop-UblkDevice
        $raw | Start-UblkDevice
        (Get-UblkDevice).State | Should -Be 'Live'
        $raw | Remove-UblkDevice
    }

    It 'writes zeroes' -Tag Core {
        New-Image $image 8MB -Random
        $device = New-UblkDevice -Target Loop -Path $image
        Invoke-Program blkdiscard -z -o 1MiB -l 2MiB $device
        Invoke-Program cmp -n 2MiB -i '1MiB:0' $image /dev/zero
        Invoke-Failure cmp -n 1MiB $image /dev/zero
    }

    It 'passes flushes on' -Tag Core {
        New-Image $image 8MB
        $device = New-UblkDevice -Target Loop -Path $image
        Get-Content "/sys/block/ublkb$($device.Id)/queue/write_cache" | Should -Be 'write back'
        $before = ((Get-Content "/sys/block/ublkb$($device.Id)/stat").Trim() -split '\s+')[15]
        Invoke-Program dd if=/dev/urandom "of=$device" bs=1M count=1 conv=fsync
        $after = ((Get-Content "/sys/block/ublkb$($device.Id)/stat").Trim() -split '\s+')[15]
        [int] $after | Should -BeGreaterThan ([int] $before)
    }

    It 'has no volatile cache where it writes through, nor after a recovery' {
        New-Image $image 8MB
        $device = New-UblkDevice -Target Loop -Path $image -WriteCache Through -Recovery Queue
        $cache = "/sys/block/ublkb$($device.Id)/queue/write_cache"
        Get-Content $cache | Should -Be 'write through'
        Stop-Worker $device.Id
        Start-UblkDevice $device.Id
        Get-Content $cache | Should -Be 'write through'
        (Get-UblkDevice $device.Id).WriteCache | Should -Be 'Through'
        Invoke-Program dd if=/dev/urandom "of=$device" bs=1M count=1 conv=fsync
    }

    It 'passes by the page cache unless told not to' {
        New-Image $image 8MB
        $device = New-UblkDevice -Target Loop -Path $image -DirectIO:$false
        Test-DirectIO $device | Should -BeFalse
        Invoke-Program blockdev --getss $device | Should -Be 512
        $device | Remove-UblkDevice

        $device = New-UblkDevice -Target Loop -Path $image -DirectIO
        Test-DirectIO $device | Should -BeTrue
    }

    It 'begins at an offset' {
        New-Image $image 8MB -Random
        $device = New-UblkDevice -Target Loop -Path $image -Offset 1MB
        $device.Size | Should -Be 7MB
        Invoke-Program cmp -i '0:1MiB' $device $image
        Invoke-Program dd if=/dev/zero "of=$device" bs=4k count=1 oflag=direct
        Invoke-Program cmp -n 4096 -i '1MiB:0' $image /dev/zero
        Invoke-Failure cmp -n 1MiB $image /dev/zero
    }

    It 'reads zeroes where the file ends inside the last block' {
        New-Image $image (1MB + 100) -Random
        $device = New-UblkDevice -Target Loop -Path $image
        $device.Size | Should -Be (1MB + $device.LogicalBlockSize)
        Invoke-Program cmp -n (1MB + 100) $device $image
        Invoke-Program cmp -n ($device.LogicalBlockSize - 100) -i "$(1MB + 100):0" $device /dev/zero
    }

    It 'tells its user when the space behind it is used up' {
        Invoke-Program mount -t tmpfs -o size=4M none $mount
        try {
            New-Image "$mount/disk.img" 16MB
            $device = New-UblkDevice -Target Loop -Path "$mount/disk.img"
            Invoke-Failure dd if=/dev/urandom "of=$device" bs=1M oflag=direct | Should -Match 'No space left on device'
            (Get-UblkDevice).State | Should -Be 'Live'
            Invoke-Program dd "if=$device" of=/dev/null bs=1M iflag=direct
            $device | Remove-UblkDevice
        }
        finally {
            Remove-EveryDevice
            Invoke-Program umount $mount
        }
    }

    It 'can stand on a block device' {
        New-Image $image 16MB
        Invoke-Program modprobe loop
        $under = Invoke-Program losetup -f --show $image
        try {
            $device = New-UblkDevice -Target Loop -Path $under
            $device.Size | Should -Be 16MB
            Invoke-Program mkfs.ext4 -q -F $device
            Invoke-Program blkdiscard -z -o 12MiB -l 1MiB $device
            $device | Remove-UblkDevice
            Invoke-Program e2fsck -fn $under
        }
        finally {
            Remove-EveryDevice
            Invoke-Program losetup -d $under
        }
    }

    It 'is read-only, and says so, where the file cannot be written' {
        New-Image $image 8MB
        Invoke-Program mount --bind $TestDrive $mount
        try {
            Invoke-Program mount -o 'remount,bind,ro' $mount
            $device = New-UblkDevice -Target Loop -Path "$mount/disk.img" -WarningVariable warnings -WarningAction SilentlyContinue
            $warnings | Should -Match 'disk\.img .*read-only'
            $device.ReadOnly | Should -BeTrue
            Invoke-Program blockdev --getro $device | Should -Be 1
            $device | Remove-UblkDevice
        }
        finally {
            Remove-EveryDevice
            Invoke-Program umount $mount
        }
    }
}

Describe 'A file that is in use' {
    BeforeAll {
        New-Image $image 8MB
    }

    AfterEach {
        Remove-EveryDevice
    }

    It 'is refused to a second device, which names the first' {
        $device = New-UblkDevice -Target Loop -Path $image
        { New-UblkDevice -Target Loop -Path $image -ErrorAction Stop } |
            Should -Throw "*$device*$image*" -ErrorId "BackingFileInUse,$new"
        (Get-UblkDevice).Id | Should -Be $device.Id
    }

    It 'is refused for writing to a disk while another reads it' {
        $null = New-UblkDevice -Target Loop -Path $image -ReadOnly
        { New-UblkDevice -Target Loop -Path $image -ErrorAction Stop } | Should -Throw -ErrorId "BackingFileInUse,$new"
    }

    It 'is shared by disks that only read it' {
        (1..2 | ForEach-Object { New-UblkDevice -Target Loop -Path $image -ReadOnly }).State | Should -Be 'Live', 'Live'
    }

    It 'is attached all the same with -IgnoreLock' {
        (1..2 | ForEach-Object { New-UblkDevice -Target Loop -Path $image -IgnoreLock }).State | Should -Be 'Live', 'Live'
    }

    It 'is refused where it is a block device that is mounted' {
        $under = New-UblkDevice -Target Loop -Path $image
        Invoke-Program mkfs.ext4 -q -F $under
        Invoke-Program mount $under $mount
        try {
            { New-UblkDevice -Target Loop -Path $under.DevicePath -ErrorAction Stop } |
                Should -Throw "*$under*" -ErrorId "BackingFileInUse,$new"
        }
        finally {
            Invoke-Program umount $mount
        }
    }
}
