# Get-UblkDevice: which devices it shows, and what it shows of them.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    Push-Location $TestDrive
    New-Image "$TestDrive/1.img" 8MB
    New-Image "$TestDrive/2.img" 8MB
    $null = New-UblkDevice -Target Null -Size 1GB
    $null = New-UblkDevice -Target Loop -Path 1.img -Offset 4096
    $null = New-UblkDevice -Target Loop -Path 2.img -Id 7
}

AfterAll {
    Remove-EveryDevice
    Pop-Location
}

Describe 'Get-UblkDevice' {
    It 'shows every device, by id' {
        (Get-UblkDevice).Id | Should -Be 0, 1, 7
        (Get-UblkDevice).State | Should -Be 'Live', 'Live', 'Live'
    }

    It 'shows devices by id' {
        (Get-UblkDevice -Id 7, 0).Id | Should -Be 7, 0
        (1, 7 | Get-UblkDevice).Id | Should -Be 1, 7
    }

    It 'shows devices by the path of <What>' -ForEach @(
        @{ What = 'the block device'; Path = '/dev/ublkb1'; Ids = 1 }
        @{ What = 'the file behind it'; Path = '1.img'; Ids = 1 }
        @{ What = 'several, with wildcards'; Path = '*.img'; Ids = 1, 7 }
        @{ What = 'none, with wildcards'; Path = '*.iso'; Ids = $null }
    ) {
        (Get-UblkDevice -Path $Path).Id | Should -Be $Ids
    }

    It 'shows a device by a link to it' {
        $null = New-Item -ItemType SymbolicLink -Path link -Value /dev/ublkb7
        (Get-UblkDevice -Path link).Id | Should -Be 7
    }

    It 'says which id is missing, and goes on' {
        $found = Get-UblkDevice -Id 5, 1 -ErrorAction SilentlyContinue -ErrorVariable failures
        $found.Id | Should -Be 1
        $failures[0].FullyQualifiedErrorId | Should -Be "DeviceNotFound,$get"
        $failures[0].CategoryInfo.Category | Should -Be 'ObjectNotFound'
        $failures[0].TargetObject | Should -Be 5
    }

    It 'says which path leads to no device' {
        { Get-UblkDevice -Path missing.img -ErrorAction Stop } | Should -Throw '*missing.img*' -ErrorId "DeviceNotFound,$get"
    }

    It 'agrees with the kernel' -Tag Core {
        $device = Get-UblkDevice -Id 1
        $device.Size | Should -Be (Invoke-Program blockdev --getsize64 /dev/ublkb1)
        $device.Size | Should -Be (8MB - 4096)
        $device.LogicalBlockSize | Should -Be (Invoke-Program blockdev --getss /dev/ublkb1)
        $device.PhysicalBlockSize | Should -Be (Invoke-Program blockdev --getpbsz /dev/ublkb1)
        $device.DeviceNumber | Should -Be (Get-Content /sys/class/block/ublkb1/dev)
        $device.CharDeviceNumber | Should -Be (Get-Content /sys/class/ublk-char/ublkc1/dev)
        $device.Owner | Should -Be (id -un)
        $device.Flags | Should -Match 'CmdIoctlEncode'
        ps -o comm= -p $device.ProcessId | Should -Be 'ublk-worker'
        Get-ChildItem "/proc/$($device.ProcessId)/task" | ForEach-Object Name | Should -Contain $device.Queues[0].ThreadId
        $device.IsComplete | Should -BeTrue
    }

    It 'has a table with the essentials' {
        $table = Get-UblkDevice | Out-String -Width 200
        $table | Should -Match 'Id +Device +Target +Size +State +Recovery +MountPoint +File'
        $table | Should -Match "0 +/dev/ublkb0 +Null +1 GiB +Live +None"
        $table | Should -Match "7 +/dev/ublkb7 +Loop +8 MiB +Live +None +$TestDrive/2\.img"
    }

    It 'is selected by state, target and name' {
        (Get-UblkDevice -Target loop).Id | Should -Be 1, 7
        (Get-UblkDevice -Target L*, Null -State Live).Id | Should -Be 0, 1, 7
        Get-UblkDevice -State Crashed, Stopped | Should -BeNullOrEmpty
        Get-UblkDevice -Name * | Should -BeNullOrEmpty
        (TabExpansion2 'Get-UblkDevice -State Su').CompletionMatches.CompletionText | Should -Be 'Suspended'
    }

    It 'has a list with everything' {
        $list = Get-UblkDevice -Id 1 | Format-List | Out-String -Width 200
        foreach ($line in @(
                'Id +: 1', 'State +: Live', 'Device +: /dev/ublkb1 \(\d+:\d+\)', 'CharDevice +: /dev/ublkc1 \(\d+:\d+\)',
                'Target +: Loop', 'Options +: .*Offset=4096', "Backing +: $TestDrive/1.img", 'Size +: 8384512 \(8 MiB\)',
                'LogicalBlockSize +: \d+', 'MaxIoSize +: 524288', 'Flags +: .*CmdIoctlEncode', 'Owner +: root',
                'ProcessId +: \d+', 'QueueCount +: 1', 'QueueDepth +: 128', 'Queues +: 0: thread \d+ on CPU [\d,-]+')) {
            $list | Should -Match $line
        }
    }

    It 'completes the ids' {
        $line = 'Get-UblkDevice -Id '
        (TabExpansion2 $line $line.Length).CompletionMatches.CompletionText | Should -Be '0', '1', '7'
    }

    It 'shows mount points and holders' {
        Invoke-Program mkfs.ext4 -q -F /dev/ublkb7
        $null = New-Item -ItemType Directory -Force 'a mount'
        Invoke-Program mount /dev/ublkb7 "$TestDrive/a mount"
        (Get-UblkDevice -Id 7).MountPoints | Should -Be "$TestDrive/a mount"
        Invoke-Program umount "$TestDrive/a mount"
        (Get-UblkDevice -Id 7).MountPoints | Should -BeNullOrEmpty

        Invoke-Program mkswap /dev/ublkb7
        Invoke-Program swapon /dev/ublkb7
        (Get-UblkDevice -Id 7).Holders | Should -Be 'swap on /dev/ublkb7'
        Invoke-Program swapoff /dev/ublkb7
    }

    It 'shows that the file behind a disk was deleted, and does not take another of its name for it' {
        $path = "$TestDrive/replaced.img"
        $old = New-UblkDevice -Target Loop -Path (New-Image $path)
        $old.IsBackingDeleted | Should -BeFalse
        Remove-Item $path
        (Get-UblkDevice -Path $path).Id | Should -Be $old.Id
        $new = New-UblkDevice -Target Loop -Path (New-Image $path)
        (Get-UblkDevice $old.Id).IsBackingDeleted | Should -BeTrue
        Get-UblkDevice $old.Id | Out-String -Width 200 | Should -Match ([regex]::Escape("$path (deleted)"))
        Get-UblkDevice $new.Id | Out-String -Width 200 | Should -Not -Match 'deleted'

        foreach ($found in @(Get-UblkDevice -Path $path), @(Get-UblkDevice -LiteralPath $path), @(Get-UblkDevice -Path "$TestDrive/re*.img")) {
            $found.Id | Should -Be $new.Id
        }
        Remove-UblkDevice -Path $path
        (Get-UblkDevice).Id | Should -Contain $old.Id
        (Get-UblkDevice).Id | Should -Not -Contain $new.Id
        { Get-UblkDevice -Path $path -ErrorAction Stop } | Should -Throw "*-Id $($old.Id)*" -ErrorId "DeviceNotFound,$get"
    }

    It 'shows a device that has no record of ours' {
        Rename-Item /run/ublk/7.json 7.hidden
        try {
            $device = Get-UblkDevice -Id 7
            $device.Target | Should -BeNullOrEmpty
            $device.State | Should -Be 'Live'
            $device.Size | Should -Be 8MB
        }
        finally {
            Rename-Item /run/ublk/7.hidden 7.json
        }
    }
}
