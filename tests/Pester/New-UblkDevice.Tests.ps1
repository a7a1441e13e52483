# New-UblkDevice with good input: what is asked for is what the kernel then says.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    Push-Location $TestDrive
}

AfterAll {
    Pop-Location
}

Describe 'New-UblkDevice' {
    AfterEach {
        Remove-EveryDevice
    }

    It 'makes a null disk that can be used at once' -Tag Core {
        $device = New-UblkDevice -Target Null
        Invoke-Program dd "if=$device" of=/dev/null bs=64k count=4 iflag=direct
        $device.DevicePath | Should -Be "/dev/ublkb$($device.Id)"
        $device.State | Should -Be 'Live'
        $device.Target | Should -Be 'Null'
    }

    It 'takes a size such as 512MB' {
        $device = New-UblkDevice -Target Null -Size 512MB
        $device.Size | Should -Be 536870912
        Invoke-Program blockdev --getsize64 $device | Should -Be 536870912
    }

    It 'makes a disk of a file, at a path relative to the location of PowerShell' -Tag Core {
        New-Image "$TestDrive/1.img" 8MB
        [Environment]::CurrentDirectory | Should -Not -Be $TestDrive
        $device = New-UblkDevice -Target Loop -Path 1.img
        $device.BackingPath | Should -Be "$TestDrive/1.img"
        Invoke-Program blockdev --getsize64 $device | Should -Be 8MB
    }

    Context 'with several files' {
        BeforeAll {
            $null = New-Item -ItemType Directory 'several'
            'a.img', 'b.img', '[c].img' | ForEach-Object { New-Image "$TestDrive/several/$_" 4MB }
        }

        It 'takes files from the pipeline' {
            $devices = Get-ChildItem several/*.img | New-UblkDevice -Target Loop
            $devices.Id | Should -Be 0, 1, 2
            $devices.BackingPath | Sort-Object | Should -Be (Get-ChildItem several | ForEach-Object FullName | Sort-Object)
        }

        It 'takes strings from the pipeline' {
            $devices = 'several/a.img', 'several/b.img' | New-UblkDevice -Target Loop
            $devices.BackingPath | Should -Be "$TestDrive/several/a.img", "$TestDrive/several/b.img"
        }

        It 'expands wildcards in -Path' {
            (New-UblkDevice -Target Loop -Path several/[ab].img).BackingPath |
                Should -Be "$TestDrive/several/a.img", "$TestDrive/several/b.img"
        }

        It 'expands none in -LiteralPath' {
            (New-UblkDevice -Target Loop -LiteralPath 'several/[c].img').BackingPath | Should -Be "$TestDrive/several/[c].img"
        }

        It 'goes on with the others where one file cannot be used' {
            $devices = 'several/a.img', 'several/missing.img', 'several/b.img' |
                New-UblkDevice -Target Loop -ErrorAction SilentlyContinue -ErrorVariable failures
            $devices.Count | Should -Be 2
            $failures[0].FullyQualifiedErrorId | Should -Be "PathNotFound,$new"
            $failures[0].TargetObject | Should -Be 'several/missing.img'
        }
    }

    It 'takes the lowest free id, or the one it is given' {
        (New-UblkDevice -Target Null -Id 1).Id | Should -Be 1
        (New-UblkDevice -Target Null).Id | Should -Be 0
        (New-UblkDevice -Target Null).Id | Should -Be 2
    }

    It 'makes queues as wide, as deep and where they are asked for' {
        $device = New-UblkDevice -Target Null -QueueCount 2 -QueueDepth 16 -QueueAffinity '0-1', 0
        (Get-ChildItem "/sys/block/ublkb$($device.Id)/mq" | Measure-Object).Count | Should -Be 2
        $device.QueueDepth | Should -Be 16
        $device.Queues.Count | Should -Be 2
        $device.Queues | ForEach-Object {
            Get-Content "/proc/$($_.ThreadId)/status" | Should -Contain "Cpus_allowed_list:`t$($_.Affinity)"
        }
        $device.Queues.Affinity | Should -Be '0-1', '0'
    }

    It 'gives the disk its limits' {
        $device = New-UblkDevice -Target Null -MaxIoSize 64KB -LogicalBlockSize 4096 -PhysicalBlockSize 8192
        Get-Content "/sys/block/ublkb$($device.Id)/queue/max_hw_sectors_kb" | Should -Be 64
        Invoke-Program blockdev --getss $device | Should -Be 4096
        Invoke-Program blockdev --getpbsz $device | Should -Be 8192
    }

    It 'makes a disk that refuses writes' {
        New-Image "$TestDrive/ro.img" 4MB
        $device = New-UblkDevice -Target Loop -Path ro.img -ReadOnly -WarningVariable warnings
        Invoke-Program blockdev --getro $device | Should -Be 1
        Invoke-Failure dd if=/dev/zero "of=$device" bs=4k count=1 oflag=direct
        $warnings | Should -BeNullOrEmpty
    }

    It 'reads the partition table unless told not to' {
        New-Image "$TestDrive/parted.img" 16MB
        'start=2048, size=2048' | sfdisk -q "$TestDrive/parted.img"
        $device = New-UblkDevice -Target Loop -Path parted.img
        Wait-For { Test-Path "$($device)p1" }
        $device | Remove-UblkDevice

        $device = New-UblkDevice -Target Loop -Path parted.img -NoPartitionScan
        Invoke-Program lsblk -nro NAME $device | Should -Be "ublkb$($device.Id)"
    }

    It 'shows what it would do, and does nothing, with -WhatIf' {
        New-UblkDevice -Target Null -WhatIf | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'tells its steps with -Verbose' {
        $lines = New-UblkDevice -Target Null -Verbose 4>&1 | ForEach-Object { "$_" }
        $lines -join "`n" | Should -Match 'worker.*\n[\s\S]*/dev/ublkb0 is ready'
    }
}

Describe 'The parameters of New-UblkDevice' {
    BeforeAll {
        function Complete([string] $Line) {
            (TabExpansion2 $Line $Line.Length).CompletionMatches.CompletionText
        }
    }

    It 'complete the targets' {
        Complete 'New-UblkDevice -Target ' | Should -Be 'Null', 'Loop', 'Qcow2', 'Nbd', 'Rbd'
        Complete 'New-UblkDevice -Target l' | Should -Be 'Loop'
    }

    It 'have a target''s own options for that target alone' {
        Complete 'New-UblkDevice -Target Loop -Off' | Should -Be '-Offset'
        Complete 'New-UblkDevice -Target Null -Off' | Should -BeNullOrEmpty
    }
}
