# The Qcow2 target on the real driver; qemu's own tools judge the images. What the format has is in the unit tests.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.qcow2"
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount

    function New-Qcow2([string] $Size = '64M', [string[]] $More = @()) {
        Invoke-Program qemu-img create -q -f qcow2 @More $image $Size
    }

    function Test-Qcow2 {
        Invoke-Program qemu-img check -q -f qcow2 $image
    }

    function Get-Hash([string] $Path) {
        (Invoke-Program sha256sum $Path).Split(' ')[0]
    }

    # The disk as qemu reads it.
    function Get-QemuHash {
        Invoke-Program qemu-img convert -f qcow2 -O raw $image "$TestDrive/disk.raw"
        Get-Hash "$TestDrive/disk.raw"
    }
}

Describe 'A qcow2 disk' {
    AfterEach {
        Remove-EveryDevice
        Remove-Item $image, "$TestDrive/disk.raw" -ErrorAction Ignore
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'holds what was written to it, and qemu finds it there' {
        New-Qcow2
        $device = New-UblkDevice -Target Qcow2 -Path $image -QueueCount 2
        $device.Size | Should -Be 64MB
        $device.BackingPath | Should -Be $image
        $fio = Start-Fio $device '--runtime=2', '--verify_backlog=64', '--fdatasync=32'
        Wait-Fio $fio
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            Invoke-Program cp (Get-Program qemu-img) "$mount/file"
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device
        $statistics = (Get-UblkDevice $device.Id).TargetStatistics
        $statistics.CacheHits | Should -BeGreaterThan 0
        $statistics.Allocations | Should -BeGreaterThan 0
        $device | Format-List | Out-String -Width 300 | Should -Match 'TargetStatistics +: CacheHits=\d+, CacheMisses=\d+, Allocations=\d+, CopiesOnWrite='
        $hash = Get-Hash $device
        $device | Remove-UblkDevice
        Test-Qcow2
        Get-QemuHash | Should -Be $hash
    }

    It 'reads through its backing file and gives discarded clusters back' {
        New-Image "$TestDrive/base" 16MB -Random
        New-Qcow2 16M -More '-F', 'raw', '-b', 'base'
        $device = New-UblkDevice -Target Qcow2 -Path $image
        Invoke-Program cmp $device "$TestDrive/base"
        Invoke-Program dd if=/dev/urandom "of=$device" bs=1M count=8 conv=fsync
        $before = [int] ((Invoke-Program du -k $image) -split '\s')[0]
        Invoke-Program blkdiscard -o 0 -l 4MiB $device
        Invoke-Program cmp -n 4MiB $device /dev/zero
        $device | Remove-UblkDevice
        Test-Qcow2
        [int] ((Invoke-Program du -k $image) -split '\s')[0] | Should -BeLessThan ($before - 3000)
    }

    It 'whose file vanishes says when it is removed that data is lost' {
        New-Image "$TestDrive/under" 16MB
        $under = New-UblkDevice -Target Loop -Path "$TestDrive/under"
        Invoke-Program qemu-img create -q -f qcow2 $under.DevicePath 8M
        $device = New-UblkDevice -Target Qcow2 -Path $under.DevicePath
        Invoke-Program dd if=/dev/zero "of=$device" bs=64k count=1 oflag=direct
        Remove-UblkDevice $under.Id -Force
        { Remove-UblkDevice $device.Id -ErrorAction Stop } | Should -Throw '*is removed, but*'
        (Get-UblkDevice).Id | Should -Not -Contain $device.Id
    }

    It 'is not recovered without the journal of its last worker' {
        New-Qcow2
        $device = New-UblkDevice -Target Qcow2 -Path $image -Recovery Reissue
        Invoke-Program dd if=/dev/zero "of=$device" bs=64k count=1 oflag=direct
        Stop-Worker
        $state = (Get-Item /run/ublk/*.state).FullName
        Move-Item $state "$TestDrive/kept"
        { Start-UblkDevice $device.Id -ErrorAction Stop } | Should -Throw '*.state*Put it back*'
        Move-Item "$TestDrive/kept" $state
        Start-UblkDevice $device.Id
        Invoke-Program cmp -n 64KiB $device /dev/zero
    }

    It 'reads a snapshot, and says why it is read-only' {
        New-Qcow2 8M
        Invoke-Program qemu-io -f qcow2 -c 'write -P 1 0 8M' $image
        Invoke-Program qemu-img snapshot -c one $image
        $device = New-UblkDevice -Target Qcow2 -Path $image -Snapshot one -WarningVariable warnings -WarningAction SilentlyContinue
        $warnings | Should -Match 'snapshot'
        $device.ReadOnly | Should -BeTrue
        Invoke-Failure cmp -n 4096 $device /dev/zero | Should -Match 'differ'
    }

    It 'tells its user when the space behind it is used up, and stays whole' {
        Invoke-Program mount -t tmpfs -o size=4M none $mount
        try {
            $image = "$mount/disk.qcow2"
            New-Qcow2 16M
            $device = New-UblkDevice -Target Qcow2 -Path $image
            Invoke-Failure dd if=/dev/urandom "of=$device" bs=1M oflag=direct | Should -Match 'No space left on device'
            Invoke-Program dd "if=$device" of=/dev/null bs=1M iflag=direct
            $device | Remove-UblkDevice
            Test-Qcow2
        }
        finally {
            Remove-EveryDevice
            Invoke-Program umount $mount
        }
    }

    It 'is decrypted with its passphrase, and again by the next worker' {
        $key = "$TestDrive/key"
        Set-Content $key 'open sesame' -NoNewline
        $secret = "secret,id=key,file=$key"
        # qemu first measures how fast it derives keys, and gives up where it is kept from its CPU.
        Wait-For {
            try {
                New-Qcow2 16M -More '--object', $secret, '-o', 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=1'
                $true
            }
            catch {
                if ("$_" -notmatch 'accurate CPU usage') { throw }
            }
        }
        { New-UblkDevice -Target Qcow2 -Path $image -ErrorAction Stop } | Should -Throw '*-KeyFile*' -ErrorId "InvalidArgument,$new"
        { New-UblkDevice -Target Qcow2 -Path $image -KeyFile $image -ErrorAction Stop } | Should -Throw -ErrorId "InvalidArgument,$new"
        Get-Leftover | Should -BeNullOrEmpty

        Push-Location $TestDrive
        $device = New-UblkDevice -Target Qcow2 -Path disk.qcow2 -KeyFile key -Recovery Reissue
        Pop-Location
        Wait-Fio (Start-Fio $device '--runtime=2', '--fdatasync=32')
        Stop-Worker
        $device | Start-UblkDevice
        Wait-Fio (Start-Fio $device '--runtime=2', '--fdatasync=32')
        $hash = Get-Hash $device
        $device | Remove-UblkDevice
        $source = "driver=qcow2,file.filename=$image,encrypt.key-secret=key"
        Invoke-Program qemu-img check -q --object $secret --image-opts $source
        Invoke-Program qemu-img convert --object $secret --image-opts $source -O raw "$TestDrive/disk.raw"
        Get-Hash "$TestDrive/disk.raw" | Should -Be $hash
    }

    It 'records its changes in a bitmap of its image, whatever is done to the disk meanwhile' {
        function Write-At([int] $Place) {
            $null = Invoke-Program dd if=/dev/urandom of=/dev/ublkb0 bs=1M count=1 "seek=$Place" oflag=direct
        }

        $null = New-UblkImage $image 64MB
        $null = New-UblkImageBitmap $image since -Granularity 1MB
        $null = New-UblkDevice $image -Recovery Queue
        Write-At 1
        (Get-UblkImageBitmap $image).InUse | Should -BeTrue
        Checkpoint-UblkDevice 0 -OverlayPath "$TestDrive/top.qcow2"
        (Get-UblkImageBitmap $image).InUse | Should -BeFalse
        Write-At 3
        Merge-UblkDevice 0 -Confirm:$false
        Update-UblkDevice 0
        Write-At 5
        Resize-UblkDevice 0 -Size 65MB
        Write-At 7
        Remove-UblkDevice 0
        # nbdinfo starts qemu's server itself.
        $map = Invoke-Program nbdinfo --map=qemu:dirty-bitmap:since --json '--' '[' qemu-nbd -r -f qcow2 -B since $image ']'
        ($map | ConvertFrom-Json | Where-Object type -EQ 1).ForEach{ "$($_.offset / 1MB)+$($_.length / 1MB)" } |
            Should -Be '1+1', '3+1', '5+1', '7+1', '64+1'

        $null = New-UblkDevice $image
        Write-At 9
        Stop-Worker
        Remove-UblkDevice 0
        $null = New-UblkDevice $image -WarningVariable warning -WarningAction SilentlyContinue
        "$warning" | Should -BeLike '*since*full one*'
        Remove-UblkDevice 0
        Clear-UblkImageBitmap $image since -Confirm:$false
        (Get-UblkImageBitmap $image).InUse | Should -BeFalse
        Test-Qcow2
    }

    It 'refuses what it cannot serve with one clear error' {
        Invoke-Program qemu-img create -q -u -f qcow2 -F raw -b not-there $image 1M
        { New-UblkDevice -Target Qcow2 -Path $image -ErrorAction Stop } | Should -Throw '*not-there*NoBacking*' -ErrorId "PathNotFound,$new"
        New-Image $image 1MB -Random
        { New-UblkDevice -Target Qcow2 -Path $image -ErrorAction Stop } | Should -Throw '*Loop*' -ErrorId "InvalidImage,$new"
    }
}
