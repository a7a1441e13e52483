# Workers and commands that are killed at any moment: a disk's users notice nothing, and the next command works.

BeforeDiscovery {
    . $PSScriptRoot/Kernel.ps1
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $chance = New-Chance
    $image = "$TestDrive/disk.img"
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount
    $kills = $env:UBLK_SOAK ? 50 : 2

    # Kills worker after worker of a device while fio lasts. Some die while they recover; each fifth lives long enough for
    # the supervisor not to lose patience.
    function Invoke-Killing($Device, $Fio) {
        $supervisor = (Invoke-Program ps -o ppid= -p $Device.ProcessId).Trim()
        $killed = 0
        while ($killed -lt $kills -and -not $Fio.HasExited) {
            Wait-For { $script:worker = pgrep -P $supervisor; $script:worker }
            Start-Sleep -Milliseconds ($chance.Next(3000) + ($killed % 5 -eq 4 ? 2000 : 0))
            Invoke-Program env kill -KILL $worker
            $killed++
        }
        $killed | Should -Be $kills
        Wait-For { (Get-UblkDevice $Device.Id).State -eq 'Live' }
    }

    # Runs a script in this process and kills the youngest worker at some moment of it. Returns what it threw.
    function Invoke-Killed([string] $Script) {
        $shell = New-Shell $Script
        $running = $shell.BeginInvoke()
        Wait-For { $running.IsCompleted -or (pgrep -x ublk-worker) }
        Start-Sleep -Milliseconds $chance.Next(400)
        $null = pkill -KILL -n -x ublk-worker
        try {
            $null = $shell.EndInvoke($running)
        }
        catch {
            $_.Exception.InnerException.ErrorRecord.FullyQualifiedErrorId
        }
        finally {
            $shell.Dispose()
        }
    }
}

Describe 'A disk whose workers are killed at random' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    BeforeEach {
        New-Image $image 64MB
    }

    It 'loses nothing that was written' -Tag Core {
        $device = New-UblkDevice -Target Loop -Path $image -QueueCount 2 -AutoRestart
        $fio = Start-Fio $device
        Invoke-Killing $device $fio
        Stop-Fio $fio
        Invoke-Program cmp $device $image
    }

    It 'keeps a mounted file system whole' {
        $device = New-UblkDevice -Target Loop -Path $image -QueueCount 2 -BufferMode ($canZeroCopy ? 'ZeroCopy' : 'UserCopy') -AutoRestart
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            $fio = Start-Fio "$mount/file" '--fsync=8'
            Invoke-Killing $device $fio
            Stop-Fio $fio
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device
    }

    It 'is a sound qcow2 image with all that was written' {
        $qcow2 = "$TestDrive/disk.qcow2"
        Invoke-Program qemu-img create -q -f qcow2 -o cluster_size=4k $qcow2 64M
        $device = New-UblkDevice -Target Qcow2 -Path $qcow2 -QueueCount 2 -CacheSize 128KB -AutoRestart
        $fio = Start-Fio $device '--size=60M', '--fdatasync=64'
        Invoke-Killing $device $fio
        Stop-Fio $fio
        Invoke-Program cp $device $image
        $device | Remove-UblkDevice
        # Clusters may be lost: status 3.
        $null = & (Get-Program qemu-img) check -q -f qcow2 $qcow2
        $LASTEXITCODE | Should -BeIn 0, 3
        Invoke-Program qemu-img compare -f qcow2 -F raw $qcow2 $image
    }
}

# Ten deaths with the delays between them take a minute.
if ($env:UBLK_SOAK) {
    Describe 'A supervisor whose workers die at once' -Tag Fire {
        AfterEach {
            Remove-EveryDevice
            Get-Leftover | Should -BeNullOrEmpty
        }

        It 'gives up after ten' {
            New-Image $image 16MB
            $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
            $supervisor = (Invoke-Program ps -o ppid= -p $device.ProcessId).Trim()
            Invoke-Program timeout 600 bash -c 'while kill -0 $0; do pkill -KILL -P $0; sleep 0.2; done 2> /dev/null' $supervisor
            (Get-UblkDevice).State | Should -Be 'Crashed'
            $device | Start-UblkDevice
            Invoke-Program cmp $device $image
        }
    }
}

Describe 'A worker that is killed at a random moment' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    BeforeAll {
        New-Image $image 16MB
    }

    It 'of its start leaves nothing in the way of the next' {
        1..$kills | ForEach-Object {
            $failure = Invoke-Killed "New-UblkDevice -Target Loop -Path $image -ErrorAction Stop"
            if ($failure) {
                $failure | Should -Be "WorkerDied,$new"
                Get-Leftover | Should -BeNullOrEmpty
            }
            Remove-EveryDevice
            New-UblkDevice -Target Loop -Path $image | Remove-UblkDevice
        }
    }

    It 'of a recovery leaves the disk to the next' -Tag Core {
        $device = New-UblkDevice -Target Loop -Path $image -Recovery Reissue
        1..$kills | ForEach-Object {
            Stop-Worker
            $failure = Invoke-Killed 'Start-UblkDevice -Id 0 -ErrorAction Stop'
            if ($failure) {
                $failure | Should -BeLike 'WorkerDied,*'
            }
            Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
            $device | Start-UblkDevice
            Invoke-Program cmp $device $image
        }
    }

    It 'of a resize leaves the disk, with one size or the other, to the next' -Skip:(-not $canResize) {
        $grown = New-Image "$TestDrive/grown.img" 16MB
        $device = New-UblkDevice -Target Loop -Path $grown -AutoRestart
        1..$kills | ForEach-Object {
            $size = 16MB + $_ * 4MB
            $worker = (Get-UblkDevice).ProcessId
            $failure = Invoke-Killed "Resize-UblkDevice -Id 0 -Size $size -ErrorAction Stop"
            if ($failure) {
                $failure | Should -BeLike 'DeviceStateInvalid,*'
            }
            Wait-For { (Get-UblkDevice | Where-Object State -EQ Live).ProcessId -notin $null, $worker }
            $device | Resize-UblkDevice -Size $size
            Invoke-Program blockdev --getsize64 $device | Should -Be $size
            Invoke-Program cmp $device $grown
        }
    }
}

Describe 'A command that is killed' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    BeforeAll {
        New-Image $image 16MB

        # Kills a process at some moment, and lets what it began come to its end.
        function Stop-AtRandom($Process, [int] $Milliseconds) {
            Start-Sleep -Milliseconds $chance.Next($Milliseconds)
            $Process.Kill()
            $Process.WaitForExit()
            Start-Sleep 1
        }

        # Runs the command ublk, and kills it at some moment.
        function Invoke-Killed {
            Stop-AtRandom (Start-Process $ublk -PassThru -ArgumentList $args -RedirectStandardOutput "$TestDrive/ublk.out") 500
        }
    }

    It 'while it makes a disk leaves a whole one or none' {
        Invoke-Killed add -t loop -f $image
        if (Get-UblkDevice) {
            (Get-UblkDevice).State | Should -Be 'Live'
            Invoke-Program cmp /dev/ublkb0 $image
            Remove-UblkDevice -Id 0
        }
        Get-Leftover | Should -BeNullOrEmpty
        New-UblkDevice -Target Loop -Path $image | Remove-UblkDevice
    }

    It 'while it removes a disk leaves one that can be removed' {
        $null = New-UblkDevice -Target Loop -Path $image -AutoRestart
        Invoke-Killed del -n 0
        Get-UblkDevice | Remove-UblkDevice
        New-UblkDevice -Target Loop -Path $image | Remove-UblkDevice
    }

    It 'while it recovers a disk leaves one that can be recovered' {
        $device = New-UblkDevice -Target Loop -Path $image -Recovery Reissue
        Stop-Worker
        Invoke-Killed recover -n 0
        if ((Get-UblkDevice).State -ne 'Live') {
            $device | Start-UblkDevice
        }
        Invoke-Program cmp $device $image
    }

    It 'while it suspends a disk leaves one that its supervisor still looks after' -Skip:(-not $canSuspend) {
        # The worker never answers the hundredth request, so the driver makes the command wait for it.
        $device = New-UblkDevice -Target Loop -Path $image -Filter 'HangEvery=100' -QueueCount 1 -QueueDepth 1 -AutoRestart
        $reader = Start-Process dd -PassThru -ArgumentList "if=$device", 'of=/dev/null', 'bs=4k', 'count=120', 'iflag=direct', 'status=none'
        $shell = Start-Shell 'Suspend-UblkDevice -Id 0'
        Start-Sleep 4
        $shell.Kill()
        $shell.WaitForExit()
        Invoke-Program env kill -KILL $device.ProcessId
        Wait-For { ($now = Get-UblkDevice).State -eq 'Live' -and $now.Restarts -eq 1 }
        $reader.WaitForExit(60000) | Should -BeTrue
        $reader.ExitCode | Should -Be 0
    }

    It 'while it resizes a disk leaves one that does not end beyond its file, and can be resized' -Skip:(-not $canResize) {
        $resized = New-Image "$TestDrive/resized.img" 16MB
        $device = New-UblkDevice -Target Loop -Path $resized -AutoRestart
        Stop-AtRandom (Start-Shell 'while ($true) { 48MB, 24MB | ForEach-Object { Resize-UblkDevice -Id 0 -Size $_ -AllowShrink } }') 1500
        (Get-Item $resized).Length | Should -BeGreaterOrEqual ([long] (Invoke-Program blockdev --getsize64 $device))
        $device | Resize-UblkDevice -Size 32MB -AllowShrink
        Invoke-Program blockdev --getsize64 $device | Should -Be 32MB
        Invoke-Program cmp $device $resized
    }
}
