# The Rbd target on the real driver, with a cluster of Ceph's own daemons. What needs no driver is in the unit tests.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $cluster = "$TestDrive/ceph"
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory $cluster, $mount
    $null = Invoke-Program $root/tests/ceph.sh $cluster 6789

    function Invoke-Rbd {
        Invoke-Program rbd --conf "$cluster/ceph.conf" @args
    }

    function New-RbdDisk([string] $Image, [hashtable] $With = @{}) {
        New-UblkDevice -Target Rbd -Spec "rbd/$Image" -ConfigPath "$cluster/ceph.conf" @With
    }
}

AfterAll {
    Get-Content "$cluster/osd.0.pid", "$cluster/mon.a.pid" -ErrorAction Ignore | ForEach-Object {
        Invoke-Program env kill -KILL $_
        Wait-For { -not (Test-Path "/proc/$_") }
    }
}

Describe 'A disk of an image in a Ceph cluster' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'holds what was written to it, and leaves the image to others' {
        Invoke-Rbd create rbd/disk --size 64M
        $device = New-RbdDisk disk
        $device.Size | Should -Be 64MB
        $device.BackingPath | Should -Be 'rbd:rbd/disk'
        $device.TargetProperties.ObjectSize | Should -Be 4MB
        ((Invoke-Rbd lock ls --format json rbd/disk) | ConvertFrom-Json).address | Should -Be $device.TargetProperties.LockOwner
        Get-Privilege $device.ProcessId | Should -Be $workerPrivilege
        Wait-Fio (Start-Fio $device '--runtime=2', '--verify_backlog=64', '--fdatasync=32', '--bsrange=4k-256k')
        # PF_MEMALLOC_NOIO and PF_LOCAL_THROTTLE (linux/sched.h), which PR_SET_IO_FLUSHER sets: librbd's threads inherit them. The runtime's
        # own one was there before, and serves no request.
        foreach ($thread in Get-Item "/proc/$($device.ProcessId)/task/*" | Where-Object { (Get-Content "$_/comm") -ne '.NET Finalizer' }) {
            $flags = ((Get-Content -Raw "$thread/stat") -replace '^.*\) ' -split ' ')[6]
            [long] $flags -band 0x180000 | Should -Be 0x180000 -Because (Get-Content "$thread/comm")
        }
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
        $device | Remove-UblkDevice

        Invoke-Rbd lock ls rbd/disk | Should -BeNullOrEmpty
        Invoke-Rbd export --no-progress rbd/disk "$TestDrive/after.raw"
        Invoke-Program e2fsck -fn "$TestDrive/after.raw"
        Invoke-Program debugfs -R "dump /file $TestDrive/file" "$TestDrive/after.raw"
        Invoke-Program cmp "$TestDrive/file" (Get-Program fio)
    }

    It 'is served on by the next worker, which takes the lock of a killed one' -Tag Fire {
        Invoke-Rbd create rbd/kept --size 64M
        $device = New-RbdDisk kept @{ Recovery = 'Reissue'; AutoRestart = $true }
        $fio = Start-Fio $device
        foreach ($kill in 1..($env:UBLK_SOAK ? 20 : 2)) {
            Start-Sleep 1
            Invoke-Program env kill -KILL (Get-UblkDevice $device.Id).ProcessId
            Wait-For { $now = Get-UblkDevice $device.Id; $now.Restarts -eq $kill -and $now.State -eq 'Live' }
        }
        Stop-Fio $fio
        Invoke-Program sync
        Invoke-Rbd export --no-progress rbd/kept "$TestDrive/kept.raw"
        Invoke-Program cmp $device "$TestDrive/kept.raw"
    }

    It 'grows with its image, and its image with it, while it is mounted' {
        Invoke-Rbd create rbd/grown --size 64M
        $device = New-RbdDisk grown @{ Recovery = 'Queue' }
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device $mount
        try {
            Invoke-Program cp (Get-Program fio) "$mount/file"
            Invoke-Rbd resize --no-progress rbd/grown --size 96M
            Wait-For { (Get-UblkDevice $device.Id).Size -eq 96MB }
            $device | Resize-UblkDevice -Size 128MB
            (Get-UblkDevice $device.Id).Size | Should -Be 128MB
            Invoke-Program blockdev --getsize64 $device | Should -Be 128MB
            (Invoke-Rbd info --format json rbd/grown | ConvertFrom-Json).size | Should -Be 128MB
            Invoke-Program resize2fs $device
            Invoke-Program dd if=/dev/zero "of=$mount/more" bs=1M count=80 conv=fsync status=none
            Invoke-Program cmp "$mount/file" (Get-Program fio)
        }
        finally {
            Invoke-Program umount $mount
        }
        Invoke-Program e2fsck -fn $device

        # And in the time without a worker.
        $device | Suspend-UblkDevice
        Invoke-Rbd resize --no-progress rbd/grown --size 144M
        $device | Resume-UblkDevice
        Wait-For { (Get-UblkDevice $device.Id).Size -eq 144MB }

        $device | Resize-UblkDevice -Size 112MB -AllowShrink
        (Invoke-Rbd info --format json rbd/grown | ConvertFrom-Json).size | Should -Be 112MB
        Invoke-Rbd resize --no-progress rbd/grown --size 104M --allow-shrink
        Wait-For { Get-UblkLog $device.Id | Where-Object Message -Like '*-AllowShrink*' }
        (Get-UblkDevice $device.Id).Size | Should -Be 112MB
    }

    It 'needs the library of Ceph, and says so' {
        $library = (Invoke-Program sh -c 'echo /usr/lib/*/librbd.so.1')
        Invoke-Program mount --bind /dev/null $library
        try {
            { New-RbdDisk disk } | Should -Throw '*no librbd.so.1*apt install librbd1*' -ErrorId "NotSupported,$new"
        }
        finally {
            Invoke-Program umount $library
        }
    }
}
