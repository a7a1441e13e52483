# A disk that gets a new file while it is in use.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $move = 'Ublk.PowerShell.Commands.MoveUblkDeviceCommand'
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount, "$TestDrive/other"
}

Describe 'Move-UblkDevice' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'of a mounted file system under load loses nothing' {
        $null = New-UblkImage "$TestDrive/disk.qcow2" 64MB
        $device = New-UblkDevice "$TestDrive/disk.qcow2" -QueueCount 2 -Recovery Reissue
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            { Move-UblkDevice 0 "$mount/own.img" -ErrorAction Stop } |
                Should -Throw '*on the disk of device 0 itself*' -ErrorId "InvalidArgument,$move"
            $fio = Start-Fio "$mount/file" '--fsync=8'
            Move-UblkDevice 0 "$TestDrive/raw.img" -WhatIf
            (Move-UblkDevice 0 "$TestDrive/raw.img" -PassThru).BackingPath | Should -Be "$TestDrive/raw.img"
            $device | Move-UblkDevice -DestinationPath { "$TestDrive/moved-$($_.Id).qcow2" }
            (Get-UblkDevice 0).BackingPath | Should -Be "$TestDrive/moved-0.qcow2"
            (Get-UblkDevice 0).ProcessId | Should -Be $device.ProcessId
            Remove-Item "$TestDrive/disk.qcow2", "$TestDrive/raw.img"
            Stop-Worker
            Start-UblkDevice 0
            Stop-Fio $fio
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device
        Remove-UblkDevice 0
        $null = Invoke-Program qemu-img check -q "$TestDrive/moved-0.qcow2"
    }

    It 'to a block device, and from there to a server, overwrites both' {
        Invoke-Program dd if=/dev/urandom "of=$TestDrive/from.img" bs=1M count=16 status=none
        $null = New-Image "$TestDrive/from.img" 24MB
        Invoke-Program cp --sparse=always "$TestDrive/from.img" "$TestDrive/data"
        Invoke-Program dd if=/dev/urandom "of=$TestDrive/to.img" bs=1M count=32 status=none
        $device = New-UblkDevice "$TestDrive/from.img"
        $other = New-UblkDevice "$TestDrive/to.img"
        { Move-UblkDevice 0 $other -ErrorAction Stop } | Should -Throw '*add -Force*' -ErrorId "PathExists,$move"
        { Move-UblkDevice 0 $device -Force -ErrorAction Stop } | Should -Throw '*itself*' -ErrorId "InvalidArgument,$move"
        Invoke-Program mkfs.ext4 -q -F $other
        Invoke-Program mount $other $mount
        try {
            { Move-UblkDevice 0 $other -Force -ErrorAction Stop } | Should -Throw '*in use*' -ErrorId "BackingFileInUse,$move"
        }
        finally {
            Invoke-Program umount $mount
        }
        (Move-UblkDevice 0 $other -Force -PassThru).BackingPath | Should -Be "$other"
        Invoke-Program cmp "$TestDrive/data" $device
        (Move-UblkDevice 0 -Target Nbd -Command nbdkit, memory, 32M -Force -PassThru -WarningAction Stop).Target | Should -Be Nbd
        Invoke-Program cmp "$TestDrive/data" $device
        { Move-UblkDevice 0 "$TestDrive/new.img" -ErrorAction Stop } | Should -Throw '*target Nbd*' -ErrorId "NotSupported,$move"
        Remove-UblkDevice 0, 1
        Invoke-Program cmp -n 24MB "$TestDrive/data" "$TestDrive/to.img"
    }

    It 'with -Mirror keeps two places alike, and shows when they no longer are' {
        $null = New-UblkImage "$TestDrive/disk.qcow2" 64MB -Force
        $device = New-UblkDevice "$TestDrive/disk.qcow2" -QueueCount 2 -Recovery Reissue
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            { Move-UblkDevice 0 -Undo -ErrorAction Stop } | Should -Throw '*not mirrored*' -ErrorId "DeviceStateInvalid,$move"
            $fio = Start-Fio "$mount/file" '--fsync=8'
            Move-UblkDevice 0 "$TestDrive/leg.img" -Mirror
            "$((Get-UblkDevice 0).Mirror)" | Should -Be "$TestDrive/disk.qcow2 (in sync), $TestDrive/leg.img (in sync)"
            { Set-UblkDevice 0 -ReadLimit 1MB -ErrorAction Stop } | Should -Throw '*End the mirror first*'
            (Move-UblkDevice 0 -Complete -PassThru).BackingPath | Should -Be "$TestDrive/leg.img"
            (Get-UblkDevice 0).Mirror | Should -BeNullOrEmpty
            Move-UblkDevice 0 "$TestDrive/leg.qcow2" -Mirror
            Stop-Worker
            Start-UblkDevice 0
            (Get-UblkDevice 0).Mirror.Legs.IsInSync | Should -Be $true, $false
            { Move-UblkDevice 0 -Complete -ErrorAction Stop } |
                Should -Throw '*Move-UblkDevice 0 -Undo*' -ErrorId "DeviceStateInvalid,$move"
            (Move-UblkDevice 0 -Undo -PassThru).BackingPath | Should -Be "$TestDrive/leg.img"
            Stop-Fio $fio
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device
        Move-UblkDevice 0 "$TestDrive/last.qcow2" -Mirror
        Invoke-Program fio --name=both "--filename=$device" --rw=randrw --bs=4k-64k --size=64M --ioengine=io_uring --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --minimal
        Move-UblkDevice 0 -Undo
        Remove-UblkDevice 0
        Invoke-Program qemu-img compare -q -f raw -F qcow2 "$TestDrive/leg.img" "$TestDrive/last.qcow2"
    }

    It 'that is impossible, or fails, leaves the disk as it was and no new file' {
        Invoke-Program dd if=/dev/urandom "of=$TestDrive/disk.img" bs=1M count=16 status=none
        Invoke-Program cp "$TestDrive/disk.img" "$TestDrive/data"
        $device = New-UblkDevice "$TestDrive/disk.img" -BufferMode ZeroCopy
        $null = New-UblkDevice -Target Null -Size 8MB
        { Move-UblkDevice 1 "$TestDrive/null.img" -ErrorAction Stop } | Should -Throw '*target Null*' -ErrorId "NotSupported,$move"
        { Move-UblkDevice 0 "$TestDrive/data" -ErrorAction Stop } | Should -Throw '*There is a file*' -ErrorId "PathExists,$move"
        { Move-UblkDevice 0 "$TestDrive/new.qcow2" -ErrorAction Stop } | Should -Throw '*-Format Raw*' -ErrorId "NotSupported,$move"
        Invoke-Program mount -t tmpfs -o size=8m tmpfs $mount
        try {
            { Move-UblkDevice 0 $mount -ErrorAction Stop } | Should -Throw '*Free space*' -ErrorId "OperationFailed,$move"
            Get-ChildItem $mount | Should -BeNullOrEmpty
        }
        finally {
            Invoke-Program umount $mount
        }
        "$TestDrive/null.img", "$TestDrive/new.qcow2" | Should -Not -Exist
        (Get-UblkDevice 0).BackingPath | Should -Be "$TestDrive/disk.img"
        Move-UblkDevice 0 "$TestDrive/other"
        (Get-UblkDevice 0).BackingPath | Should -Be "$TestDrive/other/disk.img"
        Remove-Item "$TestDrive/disk.img"
        Invoke-Program cmp "$TestDrive/data" $device
        Remove-UblkDevice 0
        Invoke-Program cmp "$TestDrive/data" "$TestDrive/other/disk.img"
    }
}
