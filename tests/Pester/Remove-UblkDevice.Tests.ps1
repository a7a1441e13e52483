# Remove-UblkDevice: what it removes, and what it leaves to its users.

BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'Remove-UblkDevice' {
    BeforeEach {
        New-Image "$TestDrive/1.img" 16MB
        $device = New-UblkDevice -Target Loop -Path "$TestDrive/1.img"
    }

    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'removes <What>' -Tag Core -ForEach @(
        @{ What = 'by id'; Action = { Remove-UblkDevice -Id $device.Id } }
        @{ What = 'an object'; Action = { Remove-UblkDevice -InputObject $device } }
        @{ What = 'from the pipeline'; Action = { Get-UblkDevice | Remove-UblkDevice } }
        @{ What = 'an id from the pipeline'; Action = { $device.Id | Remove-UblkDevice } }
    ) {
        . $Action | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
        Test-Path "$TestDrive/1.img" | Should -BeTrue
    }

    It 'removes many, those above others first' {
        1..2 | ForEach-Object { $null = New-UblkDevice -Target Null }
        $above = New-UblkDevice -Target Loop -Path $device.DevicePath
        $above.Id, $device.Id, 1, 2 | Remove-UblkDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'emits what it removed with -PassThru' {
        $removed = $device | Remove-UblkDevice -PassThru
        $removed.BackingPath | Should -Be "$TestDrive/1.img"
        Get-UblkDevice | Should -BeNullOrEmpty
    }

    It 'does not wait for the worker with -NoWait' {
        $device | Remove-UblkDevice -NoWait
        Test-Path $device.DevicePath | Should -BeFalse
        Wait-For { -not (Get-Leftover) }
    }

    It 'removes nothing with -WhatIf' {
        $device | Remove-UblkDevice -WhatIf
        (Get-UblkDevice).State | Should -Be 'Live'
    }

    It 'frees the id' {
        $device | Remove-UblkDevice
        (New-UblkDevice -Target Null).Id | Should -Be $device.Id
    }

    It 'leaves a device alone that took the id since' {
        $device | Remove-UblkDevice
        $null = New-UblkDevice -Target Null -Id $device.Id
        { $device | Remove-UblkDevice -ErrorAction Stop } | Should -Throw '*another one has its id*' -ErrorId "DeviceNotFound,$remove"
        (Get-UblkDevice).State | Should -Be 'Live'
    }

    It 'says which id is missing, and goes on' {
        Remove-UblkDevice -Id 9, $device.Id -ErrorAction SilentlyContinue -ErrorVariable failures
        $failures[0].FullyQualifiedErrorId | Should -Be "DeviceNotFound,$remove"
        $failures[0].TargetObject | Should -Be 9
        Get-Leftover | Should -BeNullOrEmpty
    }

    Context 'of a disk that is mounted' -Tag Core {
        BeforeEach {
            $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
            Invoke-Program mkfs.ext4 -q -F $device
            Invoke-Program mount $device "$TestDrive/mnt"
        }

        # A test that failed leaves no file system in the way of the next.
        AfterEach {
            $null = & (Get-Program umount) -q "$TestDrive/mnt" 2>&1
        }

        It 'refuses, and names the mount point' {
            { $device | Remove-UblkDevice -ErrorAction Stop } | Should -Throw "*$TestDrive/mnt*-Force*" -ErrorId "DeviceInUse,$remove"
            Set-Content "$TestDrive/mnt/file" 'still there'
            Invoke-Program umount "$TestDrive/mnt"
        }

        It 'asks a user who can answer' {
            # One shell, whose user says no and then yes: a shell takes long to start under emulation.
            $script = "Import-Module '$root/out/Ublk'; Remove-UblkDevice $($device.Id); (Get-UblkDevice).State; Remove-UblkDevice $($device.Id)"
            $said = Invoke-Program bash -c 'printf "n\ny\n" | "$0" -NoProfile -Command "$1" 2>&1' ([Environment]::ProcessPath) $script
            # The console wraps the question.
            $said -join ' ' -replace '\s+', ' ' | Should -Match "mounted on $TestDrive/mnt.*Live.*mounted on $TestDrive/mnt"
            Test-Path $device.DevicePath | Should -BeFalse
            Invoke-Program umount "$TestDrive/mnt"
            Wait-For { -not (Get-Leftover) }
        }

        It 'takes it away with -Force' {
            $device | Remove-UblkDevice -Force
            Test-Path $device.DevicePath | Should -BeFalse
            Invoke-Program umount "$TestDrive/mnt"
            Wait-For { -not (Get-Leftover) }
        }
    }

    It 'refuses each disk of a file system that has several, and names its mount point' {
        $other = New-UblkDevice -Target Loop -Path (New-Image "$TestDrive/other.img" 128MB)
        $first = New-UblkDevice -Target Loop -Path (New-Image "$TestDrive/first.img" 128MB)
        $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
        Invoke-Program modprobe btrfs
        Invoke-Program mkfs.btrfs -q -f $first $other
        Invoke-Program btrfs device scan $first $other
        Invoke-Program mount $first "$TestDrive/mnt"
        foreach ($disk in $first, $other) {
            { $disk | Remove-UblkDevice -ErrorAction Stop } | Should -Throw "*mounted on $TestDrive/mnt*" -ErrorId "DeviceInUse,$remove"
        }
        Invoke-Program umount "$TestDrive/mnt"
    }

    Context 'of a disk that is open' {
        BeforeEach {
            $sleeper = Invoke-Program bash -c 'sleep 1000 < "$0" > /dev/null 2>&1 & echo $!' $device
            Wait-For { (Get-Content "/proc/$sleeper/comm") -eq 'sleep' }
        }

        AfterEach {
            Invoke-Program env kill -9 $sleeper
        }

        It 'refuses, and names the process' {
            { $device | Remove-UblkDevice -ErrorAction Stop } |
                Should -Throw "*sleep (process $sleeper)*" -ErrorId "DeviceInUse,$remove"
            (Get-UblkDevice).State | Should -Be 'Live'
        }

        It 'takes it away with -Force' {
            $device | Remove-UblkDevice -Force
            Test-Path $device.DevicePath | Should -BeFalse
        }
    }

    It 'removes a device that has no record of ours' {
        Remove-Item "/run/ublk/$($device.Id).json"
        { Remove-UblkDevice -Id $device.Id -ErrorAction Stop } | Should -Throw "*process $($device.ProcessId)*-Force*" -ErrorId "DeviceForeign,$remove"
        (Get-UblkDevice).State | Should -Be 'Live'
        Remove-UblkDevice -Id $device.Id -Force
        Wait-For { -not (Get-Leftover) }
    }
}
