# Disks whose data goes between their clients and the files behind them without a copy.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount
    Invoke-Program modprobe loop

    # Whether the driver leaves the data where it is, and registers it with the ring by itself.
    function Test-ZeroCopy($Device) {
        "$($Device.Flags)" -match 'SupportZeroCopy' -and "$($Device.Flags)" -match 'AutoBufReg'
    }
}

AfterAll {
    Get-Leftover | Should -BeNullOrEmpty
}

Describe 'A disk without a copy, of a file <Where>' -ForEach @(
    @{ Where = 'in memory'; FileSystem = 'tmpfs'; Options = @{ BufferMode = 'ZeroCopy' } }
    @{ Where = 'on ext4'; FileSystem = 'ext4'; Options = @{ DirectIO = $true } }
    @{ Where = 'on ext4, through the page cache'; FileSystem = 'ext4'; Options = @{ DirectIO = $false; QueueCount = 2; MaxIoSize = 1MB } }
) {
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
        Remove-AllDevices
    }

    AfterAll {
        Invoke-Program umount $mount
        Remove-Item "$TestDrive/ext4.img" -ErrorAction Ignore
    }

    It 'keeps what fio writes to it' {
        New-Image $image 64MB
        $device = New-UblkDevice -Target Loop -Path $image @Options
        Test-ZeroCopy $device | Should -BeTrue
        Invoke-Program fio --name=raw "--filename=$device" --rw=randwrite --bsrange=4k-512k --size=24M --ioengine=libaio `
            --iodepth=16 --direct=1 --verify=crc32c --verify_fatal=1 --output-format=terse
        Invoke-Program cmp $device $image
    }

    It 'serves memory that begins anywhere the disk allows' {
        New-Image $image 8MB -Random
        $device = New-UblkDevice -Target Loop -Path $image @Options
        $alignment = [int] (Get-Content "/sys/block/ublkb$($device.Id)/queue/dma_alignment") + 1
        Invoke-Program fio --name=raw "--filename=$device" --rw=randwrite --bsrange=4k-64k --size=4M --ioengine=libaio `
            --iodepth=8 --direct=1 "--iomem_align=$alignment" --verify=crc32c --verify_fatal=1 --output-format=terse
        Invoke-Program cmp $device $image
    }

    It 'reads zeroes where the file ends inside the last block' {
        New-Image $image (1MB + 100) -Random
        $device = New-UblkDevice -Target Loop -Path $image @Options
        Invoke-Program cmp -n (1MB + 100) $device $image
        Invoke-Program cmp -n ($device.LogicalBlockSize - 100) -i "$(1MB + 100):0" $device /dev/zero
    }

    It 'loses nothing when its worker is killed under way' {
        New-Image $image 64MB
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestore @Options
        Test-ZeroCopy $device | Should -BeTrue
        $fio = Start-Process fio -PassThru -RedirectStandardOutput "$TestDrive/fio.log" -ArgumentList '--name=raw', "--filename=$device",
            '--rw=randwrite', '--bsrange=4k-64k', '--size=64M', '--io_size=96M', '--ioengine=libaio', '--iodepth=16', '--direct=1', '--rate=16m',
            '--verify=crc32c', '--verify_fatal=1'
        foreach ($round in 1..2) {
            Start-Sleep 1.5
            $worker = (Get-UblkDevice -Id $device.Id).ProcessId
            Invoke-Program kill -9 $worker
            Wait-For { (Get-UblkDevice -Id $device.Id | Where-Object State -EQ Live).ProcessId -notin $null, $worker }
        }
        $fio.WaitForExit(60000) | Should -BeTrue
        $fio.ExitCode | Should -Be 0 -Because (Get-Content -Raw "$TestDrive/fio.log")
    }
}

Describe 'The way of the data' {
    AfterEach {
        Remove-AllDevices
    }

    It 'is without a copy by itself where a file is on a disk' {
        $null = New-Image "$TestDrive/under.img" 32MB
        $under = New-UblkDevice -Target Loop -Path "$TestDrive/under.img"
        Test-ZeroCopy $under | Should -BeFalse
        Test-ZeroCopy (New-UblkDevice -Target Loop -Path $under.DevicePath) | Should -BeTrue
    }

    It 'is a copy when asked for' -Tag Core {
        Test-ZeroCopy (New-UblkDevice -Target Null -BufferMode Copy) | Should -BeFalse
    }

    It 'is an error where this kernel cannot go it' -Tag Core {
        if ($kernel -ge '6.16') {
            Test-ZeroCopy (New-UblkDevice -Target Null -BufferMode ZeroCopy) | Should -BeTrue
        }
        else {
            { New-UblkDevice -Target Null -BufferMode ZeroCopy -ErrorAction Stop } | Should -Throw '*needs kernel 6.15*' -ErrorId "NotSupported,$new"
            Get-UblkDevice | Should -BeNullOrEmpty
        }
    }
}
