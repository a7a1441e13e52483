# What changes behind a disk while it is in use.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $set = 'Ublk.PowerShell.Commands.SetUblkDeviceCommand'
}

Describe 'Set-UblkDevice of a disk in use' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'sets limits and filters, which the next worker keeps, while fio loses nothing' {
        $device = New-UblkDevice -Target Loop -Path (New-Image "$TestDrive/limited.img" 64MB) -QueueCount 2 -Recovery Reissue
        $fio = Start-Fio $device
        foreach ($round in 1..20) {
            Set-UblkDevice 0 -ReadLimit 400MB -WriteLimit ($round * 10MB) -WriteRequestLimit 100000
            Set-UblkDevice 0 -Filter "Delay=$($round % 3)", 'RateLimit=1GB'
        }

        # Far too low: what waits for it goes on at once when it ends.
        Set-UblkDevice 0 -ReadLimit 1
        Set-UblkDevice 0 -ReadLimit 0 -Filter @() -WriteLimit 300MB -LimitBurst 50
        "$((Get-UblkDevice 0).Filters)" | Should -Be 'RateLimit;WriteLimit=314572800;LimitBurst=50'
        Stop-Fio $fio
        Stop-Worker
        Start-UblkDevice -Id 0
        "$((Get-UblkDevice 0).Filters)" | Should -Be 'RateLimit;WriteLimit=314572800;LimitBurst=50'
        Set-UblkDevice 0 -WriteLimit 0 -PassThru | ForEach-Object Filters | Should -BeNullOrEmpty
    }

    It 'lets go of requests that a filter had kept, and refuses filters with state' {
        $device = New-UblkDevice -Target Null -Size 64MB -Filter "Offset=4096"
        Set-UblkDevice 0 -Filter 'HangEvery=1', 'Offset=4096'
        $read = Start-Process dd "if=$device", 'of=/dev/null', 'bs=4k', 'count=1', 'iflag=direct' -PassThru -RedirectStandardError /dev/null
        { Set-UblkDevice 0 -Filter 'Delay=1', 'Overlay' -ErrorAction Stop } | Should -Throw '*keep no state*' -ErrorId "NotSupported,$set"
        $read.HasExited | Should -BeFalse
        Set-UblkDevice 0 -Filter @()
        $read | Wait-Process
        $read.ExitCode | Should -Be 0
        "$((Get-UblkDevice 0).Filters)" | Should -Be 'Offset=4096'
    }
}

Describe 'Checkpoint-UblkDevice' {
    BeforeAll {
        $checkpoint = 'Ublk.PowerShell.Commands.CheckpointUblkDeviceCommand'
        $chance = New-Chance
        $mount = "$TestDrive/mnt"
        $null = New-Item -ItemType Directory -Force $mount
    }

    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'of a mounted file system under load keeps it whole, and each instant of it' -Tag Core {
        $null = New-UblkImage "$TestDrive/s0.qcow2" 64MB
        $device = New-UblkDevice "$TestDrive/s0.qcow2" -QueueCount 2 -Recovery Reissue
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            { Checkpoint-UblkDevice 0 -OverlayPath "$mount/own.qcow2" -Freeze -ErrorAction Stop } |
                Should -Throw '*on the disk of device 0 itself*' -ErrorId "InvalidArgument,$checkpoint"
            $fio = Start-Fio "$mount/file" '--fsync=8'
            foreach ($number in 1..3) {
                Checkpoint-UblkDevice 0 -OverlayPath "$TestDrive/s$number.qcow2" -Freeze
                (Get-UblkDevice 0).BackingPath | Should -Be "$TestDrive/s$number.qcow2"
            }
            (Get-UblkDevice 0).ProcessId | Should -Be $device.ProcessId
            Stop-Worker
            Start-UblkDevice 0
            Stop-Fio $fio
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device
        Remove-UblkDevice 0
        foreach ($number in 0..3) {
            $null = Invoke-Program qemu-img check -q "$TestDrive/s$number.qcow2"
        }

        # Frozen, so clean without a replay of the journal.
        $snapshot = New-UblkDevice "$TestDrive/s1.qcow2" -ReadOnly
        Invoke-Program e2fsck -fn $snapshot
    }

    It 'of several disks has one instant' {
        $null = New-UblkImage "$TestDrive/b.qcow2" 8MB
        $a = New-UblkDevice (New-Image "$TestDrive/a.img" 8MB) -BufferMode UserCopy
        $b = New-UblkDevice "$TestDrive/b.qcow2"

        # Always to the first disk first.
        'for ((i = 100000; ; i++)); do
            for disk in "$@"; do
                echo $i | dd "of=$disk" bs=512 conv=sync,notrunc oflag=direct status=none || exit 1
            done
        done' > "$TestDrive/write.sh"
        $writer = Start-Process bash -PassThru -ArgumentList "$TestDrive/write.sh", $a, $b
        Wait-For { (Get-Content -AsByteStream -TotalCount 1 "$TestDrive/a.img") -eq 0x31 }
        $a, $b | Checkpoint-UblkDevice -OverlayPath "$TestDrive/a1.qcow2", "$TestDrive/b1.qcow2"
        $writer.HasExited | Should -BeFalse
        Invoke-Program env kill $writer.Id
        $writer.WaitForExit()
        Invoke-Program qemu-img convert -U -O raw "$TestDrive/b.qcow2" "$TestDrive/b.img"
        $first, $second = foreach ($file in 'a', 'b') {
            [int] [Text.Encoding]::ASCII.GetString((Get-Content -AsByteStream -TotalCount 6 "$TestDrive/$file.img"))
        }
        $first - $second | Should -BeIn 0, 1
        $a, $b | Remove-UblkDevice
        'a1', 'b1' | ForEach-Object { $null = Invoke-Program qemu-img check -q "$TestDrive/$_.qcow2" }
    }

    It 'refuses a disk that cannot have one, and leaves nothing' {
        $image = New-Image "$TestDrive/part.img" 8MB
        $null = New-UblkDevice -Target Loop -Path $image -BufferMode UserCopy
        $null = New-UblkDevice -Target Null -Size 8MB
        { Checkpoint-UblkDevice 0, 1 -OverlayPath "$TestDrive/x.qcow2", "$TestDrive/y.qcow2" -ErrorAction Stop } |
            Should -Throw '*target Null*' -ErrorId "NotSupported,$checkpoint"
        { Checkpoint-UblkDevice 0 -OverlayPath (New-Image "$TestDrive/there.img") -ErrorAction Stop } |
            Should -Throw '*There is a file*' -ErrorId "PathExists,$checkpoint"
        { Checkpoint-UblkDevice 0, 1 -OverlayPath "$TestDrive/x.qcow2", "$TestDrive/x.qcow2", "$TestDrive/y.qcow2" -ErrorAction Stop } |
            Should -Throw '*2 different paths*' -ErrorId "InvalidArgument,$checkpoint"
        Checkpoint-UblkDevice 0 -OverlayPath "$TestDrive/x.qcow2" -WhatIf
        "$TestDrive/x.qcow2", "$TestDrive/y.qcow2" | Should -Not -Exist
        (Get-UblkDevice 0).Target | Should -Be Loop
        (Get-UblkDevice 0).BackingPath | Should -Be $image.FullName
    }

    It 'leaves the former image or the new one when the worker is killed' -Tag Fire {
        $null = New-UblkImage "$TestDrive/k0.qcow2" 64MB
        $device = New-UblkDevice "$TestDrive/k0.qcow2" -QueueCount 2 -Recovery Reissue
        $fio = Start-Fio $device
        foreach ($number in 1..3) {
            $worker = (Get-UblkDevice 0).ProcessId
            $shell = New-Shell "Checkpoint-UblkDevice 0 -OverlayPath '$TestDrive/k$number.qcow2'"
            $running = $shell.BeginInvoke()
            Wait-For { $running.IsCompleted -or (Test-Path "$TestDrive/k$number.qcow2") }
            Start-Sleep -Milliseconds $chance.Next(60)
            Invoke-Program env kill -KILL $worker
            Wait-For { $running.IsCompleted }
            $shell.Dispose()
            Wait-For { (Get-UblkDevice 0).State -eq 'Crashed' }
            Start-UblkDevice 0
            Write-Host "    $((Get-UblkDevice 0).BackingPath)"
        }
        Stop-Fio $fio
        $top = (Get-UblkDevice 0).BackingPath
        Remove-UblkDevice 0
        $null = Invoke-Program qemu-img check -q $top
    }
}

Describe 'Merge-UblkDevice' {
    BeforeAll {
        $merge = 'Ublk.PowerShell.Commands.MergeUblkDeviceCommand'
        $mount = "$TestDrive/merged"
        $null = New-Item -ItemType Directory -Force $mount
    }

    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'of a mounted file system under load loses nothing, in either direction' {
        $null = New-UblkImage "$TestDrive/m0.qcow2" 64MB
        $device = New-UblkDevice "$TestDrive/m0.qcow2" -QueueCount 2 -Recovery Reissue
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            $fio = Start-Fio "$mount/file" '--fsync=8'
            Checkpoint-UblkDevice 0 -OverlayPath "$TestDrive/m1.qcow2"
            Merge-UblkDevice 0 -WhatIf
            (Merge-UblkDevice 0 -PassThru -Confirm:$false).BackingPath | Should -Be "$TestDrive/m0.qcow2"
            "$TestDrive/m1.qcow2" | Should -Not -Exist
            Checkpoint-UblkDevice 0 -OverlayPath "$TestDrive/m2.qcow2"
            $device | Merge-UblkDevice -Pull -Confirm:$false
            (Get-UblkImage "$TestDrive/m2.qcow2").BackingFile | Should -BeNullOrEmpty
            (Get-UblkDevice 0).ProcessId | Should -Be $device.ProcessId
            Stop-Worker
            Start-UblkDevice 0
            Stop-Fio $fio
        }
        finally {
            Invoke-Program umount $mount
        }
        Remove-Item "$TestDrive/m0.qcow2"
        Invoke-Program e2fsck -fn $device
        Remove-UblkDevice 0
        $null = Invoke-Program qemu-img check -q "$TestDrive/m2.qcow2"
    }

    It 'that is impossible, or fails, leaves the disk as it was' {
        Invoke-Program mount -t tmpfs -o size=8m tmpfs $mount
        try {
            $base = New-Image "$mount/base.img" 4MB
            $null = New-UblkImage "$TestDrive/over.qcow2" 16MB -BackingPath $base -BackingFormat Raw
            $device = New-UblkDevice "$TestDrive/over.qcow2"
            Invoke-Program dd if=/dev/urandom "of=$TestDrive/data" bs=1M count=16 status=none
            Invoke-Program dd "if=$TestDrive/data" "of=$device" bs=1M oflag=direct status=none
            $reader = New-UblkDevice -Target Loop -Path $base -ReadOnly
            { Merge-UblkDevice 0 -Confirm:$false -ErrorAction Stop } | Should -Throw -ErrorId "BackingFileInUse,$merge"
            { Merge-UblkDevice 1 -Confirm:$false -ErrorAction Stop } | Should -Throw '*no qcow2 image*' -ErrorId "NotSupported,$merge"
            $reader | Remove-UblkDevice
            { Merge-UblkDevice 0 -Confirm:$false -ErrorAction Stop } | Should -Throw '*Free space*' -ErrorId "OperationFailed,$merge"
            (Get-UblkDevice 0).BackingPath | Should -Be "$TestDrive/over.qcow2"
            Invoke-Program cmp "$TestDrive/data" $device
            Invoke-Program mount -o 'remount,size=32m' $mount
            Merge-UblkDevice 0 -Confirm:$false
            (Get-UblkDevice 0).Target | Should -Be Loop
            Invoke-Program cmp "$TestDrive/data" $device
            Remove-UblkDevice 0
            Invoke-Program cmp "$TestDrive/data" $base
        }
        finally {
            Remove-EveryDevice
            Invoke-Program umount $mount
        }
    }
}
