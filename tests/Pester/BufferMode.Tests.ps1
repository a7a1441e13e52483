# The ways of the data between a disk's clients and the file behind it: copied by the driver, copied by the worker, not copied.

BeforeDiscovery {
    . $PSScriptRoot/Kernel.ps1
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount
    Invoke-Program modprobe loop

    # The way a disk's data goes, by what the driver granted.
    function Get-Way($Device) {
        switch -Regex ("$($Device.Flags)") {
            'UserCopy.*SupportZeroCopy|SupportZeroCopy.*UserCopy' { return 'by size' }
            'UserCopy' { return 'the worker''s copy' }
            'AutoBufReg' { return 'no copy' }
            default { return 'the driver''s copy' }
        }
    }
}

AfterAll {
    Get-Leftover | Should -BeNullOrEmpty
}

Describe 'A disk of a file <Where>, <Way>' -ForEach @(
    @{ Where = 'in memory'; Way = 'by size'; FileSystem = 'tmpfs'; Options = @{} }
    @{ Where = 'in memory'; Way = 'no copy'; FileSystem = 'tmpfs'; Options = @{ BufferMode = 'ZeroCopy' } }
    @{ Where = 'on ext4'; Way = 'the worker''s copy'; FileSystem = 'ext4'; Options = @{ BufferMode = 'UserCopy'; QueueCount = 2; MaxIoSize = 1MB } }
    @{ Where = 'on ext4'; Way = 'no copy'; FileSystem = 'ext4'; Options = @{ DirectIO = $true } }
    @{ Where = 'on ext4 through the page cache'; Way = 'no copy'; FileSystem = 'ext4'; Options = @{ DirectIO = $false; QueueCount = 2; MaxIoSize = 1MB } }
).Where{ $canZeroCopy -or $_.Options.BufferMode -eq 'UserCopy' } {
    BeforeAll {
        if ($FileSystem -eq 'ext4') {
            $null = New-Image "$TestDrive/ext4.img" 160MB
            Invoke-Program mkfs.ext4 -q -F "$TestDrive/ext4.img"
            Invoke-Program mount -o loop "$TestDrive/ext4.img" $mount
        }
        else {
            Invoke-Program mount -t tmpfs none $mount
        }
        $image = "$mount/disk.img"
    }

    AfterEach {
        Remove-EveryDevice
    }

    AfterAll {
        Invoke-Program umount $mount
        Remove-Item "$TestDrive/ext4.img" -ErrorAction Ignore
    }

    It 'keeps what fio writes to it' -Tag Core {
        New-Image $image 32MB
        $device = New-UblkDevice -Target Loop -Path $image @Options
        Get-Way $device | Should -Be $Way
        Invoke-Program fio --name=raw "--filename=$device" --rw=randwrite --bsrange=4k-512k --size=12M --ioengine=libaio `
            --iodepth=16 --direct=1 --verify=xxhash --verify_fatal=1 --output-format=terse
        Invoke-Program cmp $device $image
    }

    It 'serves memory that begins anywhere the disk allows' {
        New-Image $image 8MB -Random
        $device = New-UblkDevice -Target Loop -Path $image @Options
        $alignment = [int] (Get-Content "/sys/block/ublkb$($device.Id)/queue/dma_alignment") + 1
        Invoke-Program fio --name=raw "--filename=$device" --rw=randwrite --bsrange=4k-64k --size=4M --ioengine=libaio `
            --iodepth=8 --direct=1 "--iomem_align=$alignment" --verify=xxhash --verify_fatal=1 --output-format=terse
        Invoke-Program cmp $device $image
    }

    It 'reads zeroes where the file ends inside the last block' {
        New-Image $image (1MB + 100) -Random
        $device = New-UblkDevice -Target Loop -Path $image @Options
        Invoke-Program cmp -n (1MB + 100) $device $image
        Invoke-Program cmp -n ($device.LogicalBlockSize - 100) -i "$(1MB + 100):0" $device /dev/zero
    }

    It 'loses nothing when its worker is killed with requests in flight' {
        New-Image $image 16MB
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart @Options
        $fio = Start-Process fio -PassThru -RedirectStandardOutput "$TestDrive/fio.log" -ArgumentList '--name=raw', "--filename=$device",
            '--rw=randwrite', '--bsrange=4k-64k', '--size=16M', '--io_size=16M', '--ioengine=libaio', '--iodepth=16', '--direct=1', '--rate=8m',
            '--verify=xxhash', '--verify_fatal=1'
        Start-Sleep 1
        $worker = (Get-UblkDevice -Id $device.Id).ProcessId
        Invoke-Program kill -9 $worker
        Wait-For { (Get-UblkDevice -Id $device.Id | Where-Object State -EQ Live).ProcessId -notin $null, $worker }
        $fio.WaitForExit(60000) | Should -BeTrue
        $fio.ExitCode | Should -Be 0 -Because (Get-Content -Raw "$TestDrive/fio.log")
    }
}

Describe 'The way of the data' {
    AfterEach {
        Remove-EveryDevice
    }

    It 'is without a copy by itself where a file is on a disk' -Skip:(-not $canZeroCopy) {
        $null = New-Image "$TestDrive/under.img" 32MB
        $under = New-UblkDevice -Target Loop -Path "$TestDrive/under.img"
        Get-Way (New-UblkDevice -Target Loop -Path $under.DevicePath) | Should -Be 'no copy'
    }

    It 'is a copy when asked for' -Tag Core {
        Get-Way (New-UblkDevice -Target Null -BufferMode Copy) | Should -Be 'the driver''s copy'
    }

    It 'is a copy by itself where no way is shorter' -Tag Core {
        Get-Way (New-UblkDevice -Target Null) | Should -Be 'the worker''s copy'
        $null = New-Image "$TestDrive/small.img" 8MB
        Get-Way (New-UblkDevice -Target Loop -Path "$TestDrive/small.img" -MaxIoSize 32KB) | Should -Be 'the worker''s copy'
    }

    It 'is an error where this kernel cannot go it' -Tag Core -Skip:$canZeroCopy {
        { New-UblkDevice -Target Null -BufferMode ZeroCopy -ErrorAction Stop } | Should -Throw '*needs kernel 6.15*' -ErrorId "NotSupported,$new"
        Get-UblkDevice | Should -BeNullOrEmpty
    }
}
