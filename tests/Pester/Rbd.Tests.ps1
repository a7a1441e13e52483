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
        Get-Privilege $device.ProcessId | Should -Be $workerPrivilege
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
        $device | Remove-UblkDevice

        Invoke-Rbd lock ls rbd/disk | Should -BeNullOrEmpty
        Invoke-Rbd export --no-progress rbd/disk "$TestDrive/after.raw"
        Invoke-Program e2fsck -fn "$TestDrive/after.raw"
        Invoke-Program debugfs -R "dump /file $TestDrive/file" "$TestDrive/after.raw"
        Invoke-Program cmp "$TestDrive/file" (Get-Program fio)
    }

    It 'is served on by the next worker, which takes the lock of a killed one' {
        Invoke-Rbd create rbd/kept --size 64M
        $device = New-RbdDisk kept @{ Recovery = 'Reissue'; AutoRestart = $true }
        $fio = Start-Fio $device
        foreach ($kill in 1..2) {
            Start-Sleep 1
            Invoke-Program env kill -KILL (Get-UblkDevice $device.Id).ProcessId
            Wait-For { $now = Get-UblkDevice $device.Id; $now.Restarts -eq $kill -and $now.State -eq 'Live' }
        }
        Stop-Fio $fio
        Invoke-Program sync
        Invoke-Rbd export --no-progress rbd/kept "$TestDrive/kept.raw"
        Invoke-Program cmp $device "$TestDrive/kept.raw"
    }
}
