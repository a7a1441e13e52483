# The Nbd target on the real driver, with the servers that people use. Their protocol is in the unit tests.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $socket = "$TestDrive/nbd.socket"
    $uri = "nbd+unix:///?socket=$socket"
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount

    # Both are there when their command returns.
    function Start-Nbdkit {
        Invoke-Program nbdkit --unix $socket --pidfile "$TestDrive/nbd.pid" @args
    }

    function Start-QemuNbd {
        Invoke-Program qemu-nbd --persistent --fork --pid-file "$TestDrive/nbd.pid" --socket $socket @args
    }

    function Stop-Server {
        $id = Get-Content "$TestDrive/nbd.pid" -ErrorAction Ignore
        if ($id) {
            $null = & (Get-Program kill) -KILL $id 2>&1
            Wait-For { -not (Test-Path "/proc/$id") }
        }
        Remove-Item "$TestDrive/nbd.pid", $socket -ErrorAction Ignore
    }
}

Describe 'A disk of an NBD server' {
    AfterEach {
        Remove-EveryDevice
        Stop-Server
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'holds what was written to it' -Tag Core {
        Start-Nbdkit memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri
        $device.Size | Should -Be 64MB
        $device.BackingPath | Should -Be $uri

        # Short requests are copied and long ones are not.
        Wait-Fio (Start-Fio $device '--runtime=2', '--verify_backlog=64', '--fdatasync=32', '--bsrange=4k-256k')
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            Invoke-Program cp (Get-Program fio) "$mount/file"
            Invoke-Program fstrim $mount
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device
    }

    It 'has several queues and connections where the server allows it' {
        Start-Nbdkit memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri -QueueCount 2 -ConnectionCount 3
        Wait-Fio (Start-Fio $device '--runtime=1', '--numjobs=2', '--offset_increment=16M')
    }

    It 'is an image of a format that qemu knows, to the last byte' {
        $null = New-Image "$TestDrive/disk.raw" 16MB -Random
        Invoke-Program qemu-img convert -O vhdx "$TestDrive/disk.raw" "$TestDrive/disk.vhdx"
        Start-QemuNbd --format=vhdx "$TestDrive/disk.vhdx"
        $device = New-UblkDevice -Target Nbd -Uri $uri
        $device.Size | Should -Be 16MB
        Invoke-Program cmp $device "$TestDrive/disk.raw"
        Wait-Fio (Start-Fio $device '--runtime=1')
        $hash = (Invoke-Program sha256sum $device).Split(' ')[0]
        $device | Remove-UblkDevice
        Stop-Server
        Invoke-Program qemu-img convert -f vhdx -O raw "$TestDrive/disk.vhdx" "$TestDrive/after.raw"
        (Invoke-Program sha256sum "$TestDrive/after.raw").Split(' ')[0] | Should -Be $hash
    }

    It 'can be encrypted' {
        Set-Content "$TestDrive/keys.psk" 'alice:00112233445566778899aabbccddeeff'
        Start-Nbdkit --tls=require "--tls-psk=$TestDrive/keys.psk" memory 64M
        $device = New-UblkDevice -Target Nbd -Uri "nbds+unix:///?socket=$socket&tls-psk-file=$TestDrive/keys.psk"
        Wait-Fio (Start-Fio $device '--runtime=1')
    }

    It 'is like the export' {
        Start-Nbdkit --readonly memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri -WarningVariable warnings -WarningAction SilentlyContinue
        "$warnings" | Should -Match 'read-only'
        $device.ReadOnly | Should -BeTrue
        Invoke-Failure dd if=/dev/zero "of=$device" bs=4k count=1 oflag=direct | Should -Match 'Read-only|not permitted'
    }

    It 'fails with one errno once the server is killed, and goes when it is told to' -Tag Core {
        Start-Nbdkit memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri
        $fio = Start-Fio $device
        Start-Sleep 1
        Stop-Server
        Wait-Fio $fio -Fails
        Invoke-Failure dd "if=$device" of=/dev/null bs=4k count=1 iflag=direct | Should -Match 'Link has been severed|Input/output error'
        Get-UblkLog $device.Id | Where-Object Message -Like '*is lost*' | Should -Not -BeNullOrEmpty
        $device | Remove-UblkDevice -Force
    }

    It 'is one half of a mirror, which goes on without it' {
        Start-Nbdkit memory 64M
        $remote = New-UblkDevice -Target Nbd -Uri $uri
        $local = New-UblkDevice -Target Loop -Path (New-Image "$TestDrive/half.img" 64MB)
        Invoke-Program modprobe raid1
        $array = '/dev/md127'
        $null = Invoke-Program env MDADM_NO_UDEV=1 mdadm --create $array --run --level=1 --raid-devices=2 --metadata=1.2 $local --write-mostly $remote
        try {
            Invoke-Program mkfs.ext4 -q -F $array
            Invoke-Program mount $array $mount
            Invoke-Program dd if=/dev/urandom "of=$mount/before" bs=1M count=4 conv=fsync status=none
            Stop-Server
            Invoke-Program dd if=/dev/urandom "of=$mount/after" bs=1M count=4 conv=fsync status=none
            Get-Content -Raw /proc/mdstat | Should -Match '\[U_\]'
            Invoke-Program umount $mount
            Invoke-Program e2fsck -fn $array
        }
        finally {
            & (Get-Program umount) -q $mount
            $null = Invoke-Program env MDADM_NO_UDEV=1 mdadm --stop $array
        }
        $remote, $local | Remove-UblkDevice -Force
    }

    It 'is removed with its worker, whatever is in flight' {
        Start-Nbdkit memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri
        $fio = Start-Fio $device
        Start-Sleep 1
        Invoke-Program env kill -KILL $device.ProcessId
        Wait-Fio $fio -Fails
    }

    It 'is served on by another worker when it is read-only' {
        Start-Nbdkit memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri -ReadOnly -Recovery Reissue
        Stop-Worker
        $device | Start-UblkDevice
        Invoke-Program dd "if=$device" of=/dev/null bs=4k count=1 iflag=direct
    }
}

Describe 'An NBD server that dies, and comes again' {
    AfterEach {
        Remove-EveryDevice
        Stop-Server
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is waited for: fio verifies its data over kills of the server' {
        $null = New-Image "$TestDrive/kept.img" 64MB
        $serve = { Invoke-Program sh -c "nbdkit --foreground --unix $socket --pidfile $TestDrive/nbd.pid file $TestDrive/kept.img >/dev/null 2>&1 &" }
        & $serve
        Wait-For { Test-Path "$TestDrive/nbd.pid" }
        $device = New-UblkDevice -Target Nbd -Uri $uri -ReconnectTimeout 60
        $fio = Start-Fio $device '--runtime=4', '--verify_backlog=64', '--bsrange=4k-256k'
        foreach ($kill in 1..2) {
            Start-Sleep 1
            Stop-Server
            & $serve
        }
        Wait-Fio $fio
        (Get-UblkDevice $device.Id).TargetStatistics.Reconnections | Should -BeGreaterThan 0
        Get-UblkLog $device.Id | Where-Object Message -Like '*server again*' | Should -Not -BeNullOrEmpty
    }

    It 'lets the disk grow with its export' {
        Start-Nbdkit memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri -ReconnectTimeout 60
        { $device | Resize-UblkDevice -Size 96MB -ErrorAction Stop } | Should -Throw '*there*'
        Stop-Server
        Start-Nbdkit memory 128M
        Invoke-Program dd "if=$device" of=/dev/null bs=4k count=1 iflag=direct
        Wait-For { (Get-UblkDevice $device.Id).TargetStatistics.ExportSize -eq 128MB }
        $device | Resize-UblkDevice
        (Get-UblkDevice $device.Id).Size | Should -Be 128MB
        Invoke-Program dd if=/dev/zero "of=$device" bs=1M seek=127 count=1 oflag=direct
    }

    It 'does not keep a disk that waits for it from being removed' {
        Start-Nbdkit memory 64M
        $device = New-UblkDevice -Target Nbd -Uri $uri -ReconnectTimeout 100000
        Stop-Server
        $reader = Start-Process dd "if=$device", 'of=/dev/null', 'bs=4k', 'count=1', 'iflag=direct' -PassThru -RedirectStandardError /dev/null
        Wait-For { (Get-UblkDevice $device.Id).TargetStatistics.LostConnections -gt 0 }
        $time = [Diagnostics.Stopwatch]::StartNew()
        $device | Remove-UblkDevice -Force
        $time.Elapsed.TotalSeconds | Should -BeLessThan 60
        $reader.WaitForExit()
    }
}

Describe 'A server of the disk''s own' {
    AfterEach {
        Remove-EveryDevice
        Get-Process qemu-nbd, nbdkit -ErrorAction Ignore | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'serves an image of a format that qemu knows' {
        $null = New-Image "$TestDrive/own.raw" 16MB -Random
        Invoke-Program qemu-img convert -O vhdx "$TestDrive/own.raw" "$TestDrive/own.vhdx"
        $device = New-UblkDevice -Target Nbd -Command 'qemu-nbd', '--format=vhdx', "$TestDrive/own.vhdx"
        $device.BackingPath | Should -Be "qemu-nbd --format=vhdx $TestDrive/own.vhdx"
        Invoke-Program cmp $device "$TestDrive/own.raw"
        Wait-Fio (Start-Fio $device '--runtime=1')
        $hash = (Invoke-Program sha256sum $device).Split(' ')[0]
        $device | Remove-UblkDevice
        Invoke-Program qemu-img convert -f vhdx -O raw "$TestDrive/own.vhdx" "$TestDrive/after.raw"
        (Invoke-Program sha256sum "$TestDrive/after.raw").Split(' ')[0] | Should -Be $hash
    }

    It 'ends with a worker that is killed, and is logged' {
        $device = New-UblkDevice -Target Nbd -Command 'nbdkit', '--verbose', 'memory', '64M'
        Get-UblkLog $device.Id | Where-Object Message -Like '*nbdkit: *' | Should -Not -BeNullOrEmpty
        Invoke-Program env kill -KILL $device.ProcessId
        Wait-For { -not (Get-Process nbdkit -ErrorAction Ignore) }
    }

    It 'is reported in its own words when it cannot start' {
        { New-UblkDevice -Target Nbd -Command nbdkit, no-such-plugin -ErrorAction Stop } |
            Should -Throw '*no-such-plugin-plugin.so*' -ErrorId "ConnectionFailed,$new"
    }
}

Describe 'An NBD server that cannot be used' {
    AfterEach {
        Stop-Server
        Get-UblkDevice | Should -BeNullOrEmpty
    }

    It 'is reported: one that is not there' {
        { New-UblkDevice -Target Nbd -Uri $uri -ErrorAction Stop } | Should -Throw '*cannot be reached*' -ErrorId "ConnectionFailed,$new"
    }

    It 'is reported: one without the export, in its own words' {
        $null = New-Image "$TestDrive/disk.img" 1MB
        Start-QemuNbd --format=raw --export-name=there "$TestDrive/disk.img"
        { New-UblkDevice -Target Nbd -Uri "nbd+unix:///elsewhere?socket=$socket" -ErrorAction Stop } |
            Should -Throw "*export 'elsewhere' not present*" -ErrorId "ServerRefused,$new"
    }

    It 'is reported: one that allows a single connection, when there are to be two queues' {
        $null = New-Image "$TestDrive/disk.img" 1MB
        Start-QemuNbd --format=raw "$TestDrive/disk.img"
        { New-UblkDevice -Target Nbd -Uri $uri -QueueCount 2 -ErrorAction Stop } | Should -Throw '*CAN_MULTI_CONN*' -ErrorId "NotSupported,$new"
    }

    It 'is reported: <What>' -ForEach @(
        @{ What = 'TLS without a name to check'; With = @{ Uri = 'nbds+unix:///?socket=/a' }; Says = '*tls-hostname*'; Error = 'InvalidArgument' }
        @{ What = 'what is no URI'; With = @{ Uri = 'disk.img' }; Says = '*not an NBD URI*'; Error = 'InvalidArgument' }
        @{ What = 'no URI'; With = @{}; Says = '*needs either a Uri or a Command*'; Error = 'InvalidArgument' }
    ) {
        { New-UblkDevice -Target Nbd @With -ErrorAction Stop } | Should -Throw $Says -ErrorId "$Error,$new"
    }

    It 'is reported: a recovery of what is written' {
        Start-Nbdkit memory 64M
        { New-UblkDevice -Target Nbd -Uri $uri -Recovery Reissue -ErrorAction Stop } |
            Should -Throw '*-Recovery Reissue*' -ErrorId "NotSupported,$new"
    }
}
