# Backups of disks in use.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $backup = 'Ublk.PowerShell.Commands.BackupUblkDeviceCommand'
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount, "$TestDrive/backups", "$TestDrive/other"
}

Describe 'Backup-UblkDevice' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'of a mounted file system under load has it as it was' {
        $null = New-Image "$TestDrive/second.raw" 8MB -Random
        Invoke-Program qemu-img convert -O qcow2 "$TestDrive/second.raw" "$TestDrive/second.qcow2"
        $device = New-UblkDevice (New-Image "$TestDrive/disk.img" 64MB) -BufferMode ZeroCopy -QueueCount 2 -Recovery Reissue
        $null = New-UblkDevice "$TestDrive/second.qcow2"
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            Invoke-Program dd if=/dev/urandom "of=$mount/known" bs=1M count=4 conv=fsync status=none
            $sum = Invoke-Program sha256sum "$mount/known"
            { Backup-UblkDevice 0 "$mount/own.img" -ErrorAction Stop } |
                Should -Throw '*on the disk of device 0 itself*' -ErrorId "InvalidArgument,$backup"
            $fio = Start-Fio "$mount/file" '--fsync=8'
            Backup-UblkDevice 0 "$TestDrive/none.qcow2" -WhatIf
            $device | Backup-UblkDevice -DestinationPath "$TestDrive/full.img"
            (Get-UblkDevice | Backup-UblkDevice -DestinationPath "$TestDrive/backups" -Freeze -PassThru).Id | Should -Be 0, 1
            Get-UblkDevice | Backup-UblkDevice -DestinationPath "$TestDrive/backups" -Format Qcow2 -Compress -Freeze -Force
            (Get-UblkDevice 0).ProcessId | Should -Be $device.ProcessId
            Stop-Fio $fio
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device
        $null = New-UblkDevice -Target Nbd -Command nbdkit, file, "$TestDrive/second.raw" -QueueCount 2
        Backup-UblkDevice 2 "$TestDrive"
        Invoke-Program cmp "$TestDrive/second.raw" "$TestDrive/ublkb2.img"
        Get-ChildItem -Force "$TestDrive/backups" -Name | Should -Be 'disk.img', 'disk.qcow2', 'second.qcow2'
        $null = Invoke-Program qemu-img compare -q -f raw -F qcow2 "$TestDrive/second.raw" "$TestDrive/backups/second.qcow2"
        $null = Invoke-Program qemu-img check -q "$TestDrive/backups/disk.qcow2"
        $null = Invoke-Program qemu-img convert -O raw "$TestDrive/backups/disk.qcow2" "$TestDrive/frozen.img"

        # That of the frozen file system needs no recovery. The other one does, which is no error.
        Invoke-Program e2fsck -fn "$TestDrive/frozen.img"
        Invoke-Program bash -c 'e2fsck -fp "$0" || [ $? = 1 ]' "$TestDrive/full.img"
        foreach ($image in 'frozen.img', 'full.img') {
            Invoke-Program debugfs -R "dump /known $TestDrive/known" "$TestDrive/$image"
            (Invoke-Program sha256sum "$TestDrive/known").Split(' ')[0] | Should -Be $sum.Split(' ')[0]
        }
        "$TestDrive/none.qcow2" | Should -Not -Exist
    }

    It 'by a bitmap has what has changed, and restores each instant' {
        Invoke-Program qemu-img create -q -f qcow2 "$TestDrive/chain.qcow2" 64M
        $chain = "$TestDrive/[chain] 1"
        $null = New-Item -ItemType Directory $chain
        $device = New-UblkDevice "$TestDrive/chain.qcow2" -QueueCount 2
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            { Backup-UblkDevice 0 "$chain/no.qcow2" -Bitmap daily -BackingPath "$TestDrive/chain.qcow2" -ErrorAction Stop } |
                Should -Throw '*file of device 0 itself*' -ErrorId "InvalidArgument,$backup"
            $fio = Start-Fio "$mount/file" '--fsync=8'
            Backup-UblkDevice 0 "$chain/full.qcow2" -Bitmap daily
            { Backup-UblkDevice 0 "$chain/no.qcow2" -Bitmap other -BackingPath "$chain/full.qcow2" -ErrorAction Stop } |
                Should -Throw '*-Bitmap ''other''*' -ErrorId "BitmapNotFound,$backup"
            Invoke-Program dd if=/dev/urandom "of=$mount/known" bs=1M count=4 conv=fsync status=none
            $sum = Invoke-Program sha256sum "$mount/known"

            # No room: the changes are in the next one.
            $full = New-Item -ItemType Directory "$TestDrive/tmpfs"
            Invoke-Program mount -t tmpfs -o size=1m tmpfs $full
            { Backup-UblkDevice 0 "$full/one.qcow2" -Bitmap daily -BackingPath "$chain/full.qcow2" -ErrorAction Stop } |
                Should -Throw '*No space left*' -ErrorId "OperationFailed,$backup"
            Invoke-Program umount $full
            Backup-UblkDevice 0 "$chain/one.qcow2" -Bitmap daily -BackingPath "$chain/full.qcow2" -Freeze
            Stop-Fio $fio
            Invoke-Program rm "$mount/file"
        }
        finally {
            Invoke-Program umount $mount
        }
        Backup-UblkDevice 0 "$chain/two.qcow2" -Bitmap daily -BackingPath "$chain/one.qcow2" -Compress
        $null = Invoke-Program qemu-img compare -q -f raw -F qcow2 $device "$chain/two.qcow2"
        $null = Invoke-Program qemu-img convert -O raw "$chain/one.qcow2" "$TestDrive/one.img"
        Invoke-Program e2fsck -fn "$TestDrive/one.img"
        Invoke-Program debugfs -R "dump /known $TestDrive/known" "$TestDrive/one.img"
        (Invoke-Program sha256sum "$TestDrive/known").Split(' ')[0] | Should -Be $sum.Split(' ')[0]
        (Get-UblkImage "$TestDrive/chain.qcow2").Bitmaps.Name | Should -Be 'daily'
    }

    It 'that is impossible, or fails, leaves no file, and the disk goes on' {
        # Slow to read, so that the copy is under way for a while.
        $device = New-UblkDevice (New-Image "$TestDrive/disk.img" 64MB -Random) -Filter Cache, 'Delay=100' -Recovery Reissue
        $null = New-UblkDevice -Target Null -Size 8MB
        $null = New-Image "$TestDrive/data" 4096
        { Backup-UblkDevice 1 "$TestDrive/null.img" -ErrorAction Stop } | Should -Throw '*target Null*' -ErrorId "NotSupported,$backup"
        { Backup-UblkDevice 0 "$TestDrive/data" -ErrorAction Stop } | Should -Throw '*There is a file*' -ErrorId "PathExists,$backup"
        { Backup-UblkDevice 0 "$TestDrive/new.img" -Compress -ErrorAction Stop } |
            Should -Throw '*-Format Qcow2*' -ErrorId "NotSupported,$backup"
        { Backup-UblkDevice 0 "$TestDrive/disk.img" -Force -ErrorAction Stop } |
            Should -Throw '*file of device 0 itself*' -ErrorId "InvalidArgument,$backup"
        $fio = Start-Fio $device
        Invoke-Program mount -t tmpfs -o size=8m tmpfs $mount
        try {
            { Backup-UblkDevice 0 $mount -ErrorAction Stop } | Should -Throw '*No space left*' -ErrorId "OperationFailed,$backup"
            Get-ChildItem -Force $mount | Should -BeNullOrEmpty

            $shell = New-Shell "Backup-UblkDevice 0 '$TestDrive/other' -ErrorAction Stop"
            $null = $shell.BeginInvoke()
            Wait-For { Get-ChildItem -Force "$TestDrive/other" }
            $shell.Stop()
            Get-ChildItem -Force "$TestDrive/other" | Should -BeNullOrEmpty
            $running = $shell.BeginInvoke()
            Wait-For { Get-ChildItem -Force "$TestDrive/other" }
            Stop-Worker 0
            { $shell.EndInvoke($running) } | Should -Throw '*worker of device 0 ended*'
            Get-ChildItem -Force "$TestDrive/other" | Should -BeNullOrEmpty
            Start-UblkDevice 0
        }
        finally {
            Invoke-Program umount $mount
        }
        Stop-Fio $fio
    }
}
