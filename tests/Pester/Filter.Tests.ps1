# Filters before a disk: what the units show of each, on the real driver in a few stacks.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/base.img"
    $null = New-Image $image 16MB -Random
    $sum = Invoke-Program md5sum $image
}

Describe 'A disk with filters' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
        Invoke-Program md5sum $image | Should -Be $sum
    }

    It 'keeps changes in an overlay, in memory or in a file, and two disks share what is behind' {
        $memory = New-UblkDevice -Target Loop -Path $image -Filter Overlay
        $file = New-UblkDevice -Target Loop -Path $image -Filter 'Delay=0', @{ Overlay = "$TestDrive/changes.cow" }
        $file.Filters | ForEach-Object { "$_" } | Should -Be 'Delay=0', "Overlay=$TestDrive/changes.cow"
        foreach ($disk in $memory, $file) {
            Invoke-Program cmp $disk $image
            Invoke-Program mkfs.ext4 -q $disk
            Invoke-Program e2fsck -fn $disk
        }
        Invoke-Program cp $file "$TestDrive/changed.img"
        $file | Remove-UblkDevice
        $again = New-UblkDevice -Target Loop -Path $image -Filter "Overlay=$TestDrive/changes.cow" -ReadOnly
        Invoke-Program cmp $again "$TestDrive/changed.img"
    }

    It 'is not started with an empty overlay in the place of its own' {
        $base = New-Image "$TestDrive/overlaid.img" 8MB
        $device = New-UblkDevice -Target Loop -Path $base -Filter "Overlay=$TestDrive/own.cow"
        Invoke-Program dd if=/dev/urandom "of=$device" bs=64k count=1 oflag=direct
        $device | Stop-UblkDevice
        Move-Item "$TestDrive/own.cow" "$TestDrive/moved.cow"
        { $device | Start-UblkDevice -ErrorAction Stop } | Should -Throw '*is gone*' -ErrorId 'PathNotFound,Ublk.PowerShell.Commands.StartUblkDeviceCommand'
        Test-Path "$TestDrive/own.cow" | Should -BeFalse
        New-UblkDevice -Target Loop -Path $base -Filter "Overlay=$TestDrive/own.cow" | Remove-UblkDevice
        { $device | Start-UblkDevice -ErrorAction Stop } | Should -Throw '*was replaced*' -ErrorId 'InvalidBackingFile,Ublk.PowerShell.Commands.StartUblkDeviceCommand'
        Move-Item -Force "$TestDrive/moved.cow" "$TestDrive/own.cow"
        $device | Start-UblkDevice
        (Get-UblkDevice $device.Id).State | Should -Be 'Live'
    }

    It 'is verified by fio through a stack, and fails as told' {
        $disk = New-UblkDevice -Target Loop -Path $image -QueueCount 2 -Filter 'Cache=1MB', 'Offset=1MB;Length=8MB', 'Overlay'
        Invoke-Program blockdev --getsize64 $disk | Should -Be (8MB)
        Invoke-Program fio --name=a "--filename=$disk" --rw=randwrite --bsrange=4k-64k --size=4M --ioengine=libaio --iodepth=16 `
            --direct=1 --verify=xxhash --verify_fatal=1 --output-format=terse
        $failing = New-UblkDevice -Target Null -Size 1MB -Filter @{ ErrorRate = 1; ErrorOn = 'Write'; ErrorKind = 'ENOSPC' }
        Invoke-Failure dd if=/dev/zero "of=$failing" bs=4k count=1 oflag=direct | Should -Match 'No space left on device'
        (Get-UblkDevice $failing.Id).Filters.Name | Should -Be 'ErrorRate'
    }

    It 'has the partitions that the kernel has, with a table of the kind <Label>' -ForEach @(
        @{ Label = 'gpt'; Script = 'start=256, size=128\n5: start=1024, size=512\n'; Numbers = 1, 5 }
        @{ Label = 'dos'; Script = 'start=256, size=128\nstart=1024, size=4096, type=f\nstart=1280, size=256\nstart=2048, size=512\n'; Numbers = 1, 5, 6 }
    ) {
        $disk = New-Image "$TestDrive/$label.img" 32MB -Random
        New-UblkDevice -Target Loop -Path $disk -LogicalBlockSize 4096 |
            ForEach-Object { Invoke-Program bash -c 'printf "label: $1\n$2" | sfdisk --quiet "$0"' $_ $label $script; $_ } | Remove-UblkDevice
        $whole = New-UblkDevice -Target Loop -Path $disk -LogicalBlockSize 4096 -ReadOnly
        foreach ($number in $numbers) {
            $part = New-UblkDevice -Target Loop -Path $disk -LogicalBlockSize 4096 -ReadOnly -Filter "Partition=$number"
            $part.Size | Should -Be (Invoke-Program blockdev --getsize64 "${whole}p$number")
            Invoke-Program cmp $part "${whole}p$number"
        }
    }

    It 'is refused with one clear error where a filter is none' {
        { New-UblkDevice -Target Null -Filter Nothing } | Should -Throw -ErrorId "UnknownFilter,$new"
        { New-UblkDevice -Target Null -Filter 'Delay=soon' } | Should -Throw -ErrorId "InvalidArgument,$new"
        { New-UblkDevice -Target Null -Filter @{ Delay = 1; Cache = 1MB } } | Should -Throw -ErrorId "InvalidArgument,$new"
        { New-UblkDevice -Target Null -Filter Overlay -AutoRestart } | Should -Throw -ErrorId "InvalidArgument,$new"
        { New-UblkDevice -Target Null -Filter 'Partition=1' -ErrorAction Stop } | Should -Throw -ErrorId "InvalidArgument,$new"
    }

    It 'completes their names' {
        $line = 'New-UblkDevice -Target Null -Filter Err'
        [Management.Automation.CommandCompletion]::CompleteInput($line, $line.Length, $null).CompletionMatches.CompletionText | Should -Be 'ErrorRate='
    }
}
