# A disk that is in use, exported over NBD. What needs no driver is in tests/Module/Export.Tests.ps1.

BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'A disk that is mounted' {
    AfterEach {
        Get-UblkExport | Remove-UblkExport -Force
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is exported as its file system has written it back' {
        $image = Join-Path $TestDrive disk.img
        New-Image $image 24MB
        Invoke-Program mkfs.ext4 -q $image
        $device = New-UblkDevice $image
        $mount = Join-Path $TestDrive mnt
        $null = New-Item -ItemType Directory $mount
        Invoke-Program mount $device $mount
        try {
            $export = $device | New-UblkExport -Name live
            Invoke-Program dd if=/dev/urandom "of=$mount/data" bs=1M count=4 conv=fsync status=none
            Invoke-Program fsfreeze -f $mount
            try {
                Invoke-Program qemu-img convert -f raw -O raw $export.Uri "$TestDrive/copy.img"
                Invoke-Program cmp $image "$TestDrive/copy.img"
            }
            finally {
                Invoke-Program fsfreeze -u $mount
            }
        }
        finally {
            Invoke-Program umount $mount
        }

        Invoke-Program e2fsck -fn "$TestDrive/copy.img"
    }
}
