# What can be changed of a device in use.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $set = 'Ublk.PowerShell.Commands.SetUblkDeviceCommand'

    # The CPUs that each of a device's threads may run on, as the kernel has it.
    function Get-ThreadAffinity([int] $Id) {
        (Get-UblkDevice $Id).Queues | ForEach-Object { (Invoke-Program taskset -cp $_.ThreadId) -replace '.*: ' }
    }
}

Describe 'Set-UblkDevice -QueueAffinity' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'moves the threads, of this worker and the next' {
        $null = New-UblkDevice -Target Null -Size 64MB -QueueCount 2 -Recovery Reissue
        Set-UblkDevice -Id 0 -QueueAffinity 1, 0
        Get-ThreadAffinity 0 | Should -Be '1', '0'
        (Get-UblkDevice 0).Queues.Affinity | Should -Be '1', '0'
        Stop-Worker
        Start-UblkDevice -Id 0
        Get-ThreadAffinity 0 | Should -Be '1', '0'
    }

    It 'takes one list for all' {
        New-UblkDevice -Target Null -Size 64MB -QueueCount 2 | Set-UblkDevice -QueueAffinity 0-1 -PassThru | ForEach-Object Id | Should -Be 0
        Get-ThreadAffinity 0 | Should -Be '0,1', '0,1'
    }

    It 'changes nothing where a list does not fit' {
        $before = (New-UblkDevice -Target Null -Size 64MB -QueueCount 2 -QueueAffinity 0).Queues.Affinity
        { Set-UblkDevice -Id 0 -QueueAffinity 0, 1, 0 -ErrorAction Stop } | Should -Throw '*each of the 2*' -ErrorId "InvalidArgument,$set"
        { Set-UblkDevice -Id 0 -QueueAffinity 1, 900 -ErrorAction Stop } | Should -Throw '*CPU 900*' -ErrorId "InvalidArgument,$set"
        Set-UblkDevice -Id 0 -QueueAffinity 1 -WhatIf
        Get-ThreadAffinity 0 | Should -Be $before
    }
}

Describe 'Set-UblkDevice -ReadOnly' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'makes a disk refuse writes, and take them again' {
        $device = New-UblkDevice -Target Loop -Path (New-Image "$TestDrive/disk.img" 8MB)
        $device | Set-UblkDevice -ReadOnly
        Invoke-Program blockdev --getro $device | Should -Be 1
        Invoke-Failure dd if=/dev/zero "of=$device" bs=4k count=1 oflag=direct | Should -Match 'not permitted|Read-only'
        $device | Set-UblkDevice -ReadOnly:$false
        Invoke-Program dd if=/dev/zero "of=$device" bs=4k count=1 oflag=direct
    }

    It 'leaves a mounted disk alone' {
        $device = New-UblkDevice -Target Loop -Path (New-Image "$TestDrive/mounted.img" 8MB)
        $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device "$TestDrive/mnt"
        try {
            { $device | Set-UblkDevice -ReadOnly -ErrorAction Stop } | Should -Throw '*mounted on*' -ErrorId "DeviceInUse,$set"
            Invoke-Program blockdev --getro $device | Should -Be 0
        }
        finally {
            Invoke-Program umount "$TestDrive/mnt"
        }
    }

    It 'does not make writable what was made read-only' {
        $null = New-UblkDevice -Target Null -Size 64MB -ReadOnly
        { Set-UblkDevice -Id 0 -ReadOnly:$false -ErrorAction Stop } | Should -Throw '*created read-only*' -ErrorId "InvalidArgument,$set"
    }

    It 'wants to know what to change' {
        { Set-UblkDevice -Id 0 -ErrorAction Stop } | Should -Throw '*nothing to change*' -ErrorId "InvalidArgument,$set"
    }
}
