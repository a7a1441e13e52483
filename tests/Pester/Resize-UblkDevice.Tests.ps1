# Disks that change their size while they are in use.

BeforeDiscovery {
    . $PSScriptRoot/Kernel.ps1
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $resize = 'Ublk.PowerShell.Commands.ResizeUblkDeviceCommand'
    $image = "$TestDrive/disk.img"

    function Get-DiskSize($Device) {
        [long] (Invoke-Program blockdev --getsize64 $Device)
    }
}

if ($canResize) {
    Describe 'Resize-UblkDevice' {
        AfterEach {
            Remove-EveryDevice
            Get-Leftover | Should -BeNullOrEmpty
            Remove-Item $image -ErrorAction Ignore
        }

        It 'grows a disk, its file, and then the file system that is mounted on it' {
            $device = New-UblkDevice -Target Loop -Path (New-Image $image 32MB) -Recovery Reissue
            $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
            Invoke-Program mkfs.ext4 -q -F $device
            Invoke-Program mount $device "$TestDrive/mnt"
            Invoke-Program dd if=/dev/urandom "of=$TestDrive/mnt/file" bs=1M count=8
            $hash = (Get-FileHash "$TestDrive/mnt/file").Hash
            ($device | Resize-UblkDevice -Size 64MB -PassThru).Size | Should -Be 64MB
            Get-DiskSize $device | Should -Be 64MB
            (Get-Item $image).Length | Should -Be 64MB
            Invoke-Program resize2fs $device
            Invoke-Program dd if=/dev/urandom "of=$TestDrive/mnt/more" bs=1M count=36
            (Get-FileHash "$TestDrive/mnt/file").Hash | Should -Be $hash
            Invoke-Program umount "$TestDrive/mnt"
            Invoke-Program e2fsck -fn $device
            Invoke-Program cmp $device $image
        }

        It 'keeps the size for the next worker' {
            $null = New-UblkDevice -Target Null -Size 64MB -Recovery Reissue
            Resize-UblkDevice -Id 0 -Size 128MB
            Stop-Worker
            (Start-UblkDevice -Id 0 -PassThru).Size | Should -Be 128MB
            Stop-UblkDevice -Id 0
            (Start-UblkDevice -Id 0 -PassThru).Size | Should -Be 128MB
        }

        It 'takes the size its file has now' {
            $device = New-UblkDevice -Target Loop -Path (New-Image $image 8MB) -Offset 1MB
            Invoke-Program truncate -s 12M $image
            Resize-UblkDevice -Id 0
            Get-DiskSize $device | Should -Be 11MB
            (Get-Item $image).Length | Should -Be 12MB
        }

        It 'shrinks with -AllowShrink alone' {
            $device = New-UblkDevice -Target Loop -Path (New-Image $image 8MB -Random)
            { $device | Resize-UblkDevice -Size 4MB -ErrorAction Stop } | Should -Throw '*would lose*-AllowShrink*' -ErrorId "InvalidArgument,$resize"
            Get-DiskSize $device | Should -Be 8MB
            $device | Resize-UblkDevice -Size 4MB -AllowShrink
            Get-DiskSize $device | Should -Be 4MB
            (Get-Item $image).Length | Should -Be 4MB
            Invoke-Program cmp $device $image
        }

        It 'goes on under load' {
            $device = New-UblkDevice -Target Loop -Path (New-Image $image 16MB)
            $fio = Start-Process fio -PassThru -RedirectStandardOutput "$TestDrive/fio.log" -ArgumentList '--name=a', "--filename=$device",
                '--ioengine=libaio', '--direct=1', '--rw=randwrite', '--bsrange=4k-64k', '--iodepth=16', '--size=16M', '--io_size=64M',
                '--verify=xxhash', '--rate=16m'
            foreach ($size in 20MB, 24MB, 28MB) {
                Start-Sleep -Milliseconds 500
                Resize-UblkDevice -Id 0 -Size $size
            }
            $fio.WaitForExit(60000) | Should -BeTrue
            $fio.ExitCode | Should -Be 0 -Because (Get-Content -Raw "$TestDrive/fio.log")
            Get-DiskSize $device | Should -Be 28MB
        }

        It 'resizes a qcow2 disk in use, whose requests wait meanwhile' {
            $qcow2 = "$TestDrive/disk.qcow2"
            $null = New-UblkImage $qcow2 64MB
            $device = New-UblkDevice $qcow2
            $fio = Start-Fio $device
            Start-Sleep 1
            ($device | Resize-UblkDevice -Size 128MB -PassThru).Size | Should -Be 128MB
            (Get-UblkDevice).ProcessId | Should -Be $device.ProcessId
            Get-DiskSize $device | Should -Be 128MB
            Stop-Fio $fio
            { $device | Resize-UblkDevice -ErrorAction Stop } | Should -Throw '*-Size*' -ErrorId "InvalidArgument,$resize"
            { $device | Resize-UblkDevice -Size 32MB -ErrorAction Stop } | Should -Throw '*-AllowShrink*' -ErrorId "InvalidArgument,$resize"
            $device | Resize-UblkDevice -Size 32MB -AllowShrink
            Get-DiskSize $device | Should -Be 32MB
            $device | Remove-UblkDevice
            (Get-UblkImage $qcow2).VirtualSize | Should -Be 32MB
            $null = Invoke-Program qemu-img check -q $qcow2
        }

        It 'does not shrink a disk that is mounted' {
            $device = New-UblkDevice -Target Loop -Path (New-Image $image 32MB)
            $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
            Invoke-Program mkfs.ext4 -q -F $device
            Invoke-Program mount $device "$TestDrive/mnt"
            { $device | Resize-UblkDevice -Size 16MB -AllowShrink -ErrorAction Stop } | Should -Throw "*$TestDrive/mnt*" -ErrorId "DeviceInUse,$resize"
            Invoke-Program umount "$TestDrive/mnt"
            Get-DiskSize $device | Should -Be 32MB
        }

        It 'leaves a block device behind the disk as it is' {
            $under = New-UblkDevice -Target Loop -Path (New-Image $image 8MB)
            $over = New-UblkDevice -Target Loop -Path $under.DevicePath
            { $over | Resize-UblkDevice -Size 16MB -ErrorAction Stop } | Should -Throw '*is a block device*' -ErrorId "InvalidArgument,$resize"
            $under | Resize-UblkDevice -Size 16MB
            $over | Resize-UblkDevice
            Get-DiskSize $over | Should -Be 16MB
            $over | Remove-UblkDevice
        }

        It 'changes nothing on bad input' {
            $device = New-UblkDevice -Target Loop -Path (New-Image $image 8MB)
            { $device | Resize-UblkDevice -Size 8000001 -ErrorAction Stop } | Should -Throw '*multiple of the disk*' -ErrorId "InvalidArgument,$resize"
            $device | Resize-UblkDevice -Size 16MB -WhatIf
            Move-Item $image "$image.moved"
            New-Image $image 8MB
            { $device | Resize-UblkDevice -Size 16MB -ErrorAction Stop } | Should -Throw '*is not the file*' -ErrorId "InvalidBackingFile,$resize"
            Get-DiskSize $device | Should -Be 8MB
            (Get-Item $image).Length | Should -Be 8MB
            (Get-Item "$image.moved").Length | Should -Be 8MB
            Stop-UblkDevice -Id 0
            { Resize-UblkDevice -Id 0 -Size 16MB -ErrorAction Stop } | Should -Throw -ErrorId "DeviceStateInvalid,$resize"
            { Resize-UblkDevice -Id 5 -Size 16MB -ErrorAction Stop } | Should -Throw -ErrorId "DeviceNotFound,$resize"
        }
    }
}
else {
    Describe 'Resize-UblkDevice' -Tag Core {
        AfterEach {
            Remove-EveryDevice
            Get-Leftover | Should -BeNullOrEmpty
        }

        It 'says which kernel it needs' {
            $device = New-UblkDevice -Target Loop -Path (New-Image $image 8MB)
            { $device | Resize-UblkDevice -Size 16MB -ErrorAction Stop } | Should -Throw '*needs kernel 6.16 or newer*' -ErrorId "NotSupported,$resize"
            Get-DiskSize $device | Should -Be 8MB
            (Get-Item $image).Length | Should -Be 8MB
        }
    }
}
