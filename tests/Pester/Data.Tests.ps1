# A file system on a disk, judged by the programs that should know.

BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'A disk of a file, <How>' -Tag Core -ForEach @(
    @{ How = 'as it comes'; Options = @{} }
    @{ How = 'through the page cache, with two queues'; Options = @{ DirectIO = $false; QueueCount = 2; MaxIoSize = 1MB } }
) {
    BeforeAll {
        $image = "$TestDrive/disk.img"
        $mount = "$TestDrive/mnt"
        $null = New-Item -ItemType Directory -Force $mount
        New-Image $image 32MB
        $device = New-UblkDevice -Target Loop -Path $image @Options
    }

    AfterAll {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'keeps what fio writes to it' {
        Invoke-Program fio --name=raw "--filename=$device" --rw=randwrite --bsrange=4k-256k --size=12M --ioengine=libaio `
            --iodepth=16 --direct=1 --verify=xxhash --verify_fatal=1 --output-format=terse
    }

    It 'takes a file system, which keeps what fio writes to it' {
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        Invoke-Program fio --name=file "--directory=$mount" --rw=randrw --bsrange=512-128k --bs_unaligned=1 --size=8M --nrfiles=4 `
            --ioengine=psync --fsync=64 --verify=xxhash --verify_fatal=1 --output-format=terse
    }

    It 'has it all after being mounted again' {
        Invoke-Program dd if=/dev/urandom "of=$mount/random" bs=1M count=8
        $before = (Get-FileHash "$mount/random").Hash
        Invoke-Program umount $mount
        Invoke-Program mount $device $mount
        (Get-FileHash "$mount/random").Hash | Should -Be $before
        Invoke-Program umount $mount
        Invoke-Program e2fsck -fn $device
    }

    It 'is the file, byte for byte' {
        Invoke-Program cmp $device $image
        $device | Remove-UblkDevice
        Invoke-Program e2fsck -fn $image
    }

    It 'has it all when made anew' {
        $device = New-UblkDevice -Target Loop -Path $image -ReadOnly
        Invoke-Program cmp $device $image
        Invoke-Program e2fsck -fn $device
    }
}
