# The process behind a disk: what it is, what it survives, and how it ends.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    New-Image $image 16MB
}

Describe 'A worker' {
    BeforeEach {
        $device = New-UblkDevice -Target Loop -Path $image
        $worker = $device.ProcessId
    }

    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'says in ps what it serves' {
        Invoke-Program ps -o args= -p $worker | Should -BeLike "*/ublk-worker serve --id $($device.Id) --target Loop --path $image*"
    }

    It 'has nothing of the shell that made it' {
        Invoke-Program ps -o sid= -p $worker | Should -Not -Be (Invoke-Program ps -o sid= -p $PID)
        Invoke-Program ps -o tty= -p $worker | Should -Be '?'
        Invoke-Program readlink "/proc/$worker/cwd" | Should -Be '/'
        0..2 | ForEach-Object { Invoke-Program readlink "/proc/$worker/fd/$_" | Should -Be '/dev/null' }
    }

    It 'may do what serving takes and nothing else, as may the next one and their supervisor' {
        $device | Remove-UblkDevice
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        Get-Privilege $device.ProcessId | Should -Be $workerPrivilege
        Get-Privilege (Invoke-Program ps -o ppid= -p $device.ProcessId) | Should -Be $workerPrivilege
        Invoke-Program env kill -KILL $device.ProcessId
        Wait-For { ($now = Get-UblkDevice).State -eq 'Live' -and $now.Restarts -eq 1 }
        Get-Privilege (Get-UblkDevice).ProcessId | Should -Be $workerPrivilege
    }

    It 'keeps what it writes from everybody else' {
        Invoke-Program stat -c '%n %U %a' /run/ublk /run/ublk/0.json /run/ublk/0.counters /dev/ublkc0 |
            Should -Be '/run/ublk root 700', '/run/ublk/0.json root 600', '/run/ublk/0.counters root 600', '/dev/ublkc0 root 600'
    }

    It 'keeps no file system that is unmounted, whether mounts are <propagation>' -ForEach @{ Propagation = 'private' }, @{ Propagation = 'shared' } {
        $former = Invoke-Program findmnt -no PROPAGATION /
        Invoke-Program modprobe null_blk memory_backed=1 gb=1
        Invoke-Program mount "--make-r$propagation" /
        try {
            $null = New-Item -ItemType Directory -Force "$TestDrive/stick"
            Invoke-Program mkfs.ext4 -q -F /dev/nullb0 16M
            Invoke-Program mount /dev/nullb0 "$TestDrive/stick"
            $late = New-UblkDevice -Target Null -Size 64MB
            $isOwn = (Invoke-Program readlink "/proc/$($late.ProcessId)/ns/mnt") -ne (Invoke-Program readlink "/proc/$PID/ns/mnt")
            $isOwn | Should -Be ($propagation -eq 'shared')
            Test-Path /sys/fs/ext4/nullb0 | Should -BeTrue
            Invoke-Program umount "$TestDrive/stick"
            Test-Path /sys/fs/ext4/nullb0 | Should -BeFalse
        }
        finally {
            Invoke-Program mount "--make-r$($former.Split(',')[0])" /
        }
    }

    It 'keeps no file system busy that stands on another disk' {
        $other = New-UblkDevice -Target Null -Size 64MB
        $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device "$TestDrive/mnt"
        $late = New-UblkDevice -Target Null -Size 64MB
        Invoke-Program umount "$TestDrive/mnt"
        $device | Remove-UblkDevice
        (Get-UblkDevice).Id | Should -Be $other.Id, $late.Id
    }

    It 'gives its buffers back when nobody uses the disk' {
        $device | Remove-UblkDevice

        # Requests that wait have a buffer each.
        $device = New-UblkDevice -Target Loop -Path $image -Filter 'Delay=100' -BufferMode UserCopy
        $worker = $device.ProcessId
        Invoke-Program fio --name=a "--filename=$device" --ioengine=io_uring --direct=1 --rw=read --bs=512k --iodepth=16 --size=16M
        $used = (Get-Process -Id $worker).WorkingSet64
        Wait-For { $used - (Get-Process -Id $worker).WorkingSet64 -gt 6MB }
        Invoke-Program cmp $device $image
    }

    It 'removes its device on SIG<_>' -Tag Core -ForEach TERM, INT {
        Invoke-Program env kill -$_ $worker
        Wait-For { -not (Get-Leftover) }
    }

    It 'leaves a dead device when it is killed, which can be removed' -Tag Core {
        Invoke-Program env kill -KILL $worker
        Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
        (Get-UblkDevice).ProcessId | Should -BeNullOrEmpty
        (Get-UblkDevice | Out-String) | Should -Match 'Crashed'
        { New-UblkDevice -Target Null -Id $device.Id -ErrorAction Stop } | Should -Throw -ErrorId "DeviceIdInUse,$new"
        Get-UblkDevice | Remove-UblkDevice
        Get-Leftover | Should -BeNullOrEmpty
        (New-UblkDevice -Target Loop -Path $image).Id | Should -Be $device.Id
    }

    It 'fails the requests it had when it is killed' -Tag Core {
        $script = 'exec 3> "$0"; kill -KILL $1; for i in {1..2000}; do dd if=/dev/zero bs=64k count=64 oflag=direct >&3 2> /dev/null || exit 1; done'
        Invoke-Failure timeout 60 bash -c $script $device $worker
        $LASTEXITCODE | Should -Be 1
    }
}

Describe 'A process that makes a device' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'can be killed without harm to the device' {
        Invoke-Shell "`$null = New-UblkDevice -Target Loop -Path $image; bash -c 'kill -KILL `$PPID'"
        (Get-UblkDevice).State | Should -Be 'Live'
        Invoke-Program dd if=/dev/urandom of=/dev/ublkb0 bs=64k count=4 oflag=direct
    }

    It 'leaves nothing behind when it is killed before the device is made' {
        # A command starts the worker that is beside it, this one once the command is dead.
        $killer = 'kill -KILL $PPID; exec "$real" "$@"'
        Use-Worker $killer {
            Copy-Item "$TestDrive/real-worker/linux-*/ublk" (Split-Path $ublk)
            Invoke-Failure $ublk add -t loop -f $image
            $LASTEXITCODE | Should -Be 137
        }
        Wait-For { -not (Get-Leftover) }
    }

    It 'leaves nothing behind when it is stopped before the device is made' {
        Use-Worker 'touch "$0.started"; exec sleep 1000' {
            $shell = New-Shell 'New-UblkDevice -Target Null'
            $running = $shell.BeginInvoke()
            Wait-For { Test-Path "$TestDrive/fake-worker/*/ublk-worker.started" }
            $shell.Stop()
            $running.IsCompleted | Should -BeTrue
            $shell.InvocationStateInfo.State | Should -Be 'Stopped'
            $shell.Dispose()
        }
    }
}
