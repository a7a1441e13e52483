# Disk images as a user handles them, judged by qemu-img. What images are like in each combination of features is shown in tests/Unit/Images.

BeforeAll {
    . $PSScriptRoot/../Pester/Common.ps1
    $folder = Join-Path $TestDrive images
    $null = New-Item -ItemType Directory $folder
    Push-Location $folder

    function Test-WithQemu([string] $Path) {
        $null = Invoke-Program qemu-img check -q -f qcow2 $Path
    }

    function New-FilledImage([string] $Path) {
        $image = New-UblkImage $Path 16MB
        $null = Invoke-Program qemu-io -f qcow2 -c 'write -P 1 0 1M' -c 'write -P 0 4M 2M' $image.Path
        $image.Path
    }
}

AfterAll {
    Pop-Location
}

Describe 'New-UblkImage' {
    It 'makes an image at a relative path, as the parameters say' {
        $image = New-UblkImage a.qcow2 64MB -ClusterSize 4KB -RefcountBits 32 -ExtendedL2:$false -LazyRefcounts -CompressionType Zstd
        $image.Path | Should -Be "$folder/a.qcow2"
        Test-WithQemu $image.Path
        $info = Invoke-Program qemu-img info --output=json $image.Path | ConvertFrom-Json
        $info.'virtual-size' | Should -Be 64MB
        $info.'cluster-size' | Should -Be 4KB
        $info.'format-specific'.data.'refcount-bits' | Should -Be 32
        $info.'format-specific'.data.'lazy-refcounts' | Should -BeTrue
        $info.'format-specific'.data.'compression-type' | Should -Be zstd
        { New-UblkImage a.qcow2 1MB -ErrorAction Stop } | Should -Throw '*Use -Force*' -ErrorId 'PathExists,Ublk.PowerShell.Commands.NewUblkImageCommand'
        (New-UblkImage a.qcow2 1MB -Force).VirtualSize | Should -Be 1MB
    }

    It 'keeps a relative name of the backing file, and an absolute one of the data file' {
        $null = New-UblkImage base.raw 8MB -Format Raw
        $top = New-UblkImage top.qcow2 -BackingPath base.raw -BackingFormat Raw
        $top.VirtualSize | Should -Be 8MB
        $top.BackingFile | Should -Be base.raw
        (Get-UblkImage top.qcow2 -Chain).Path | Should -Be "$folder/top.qcow2", "$folder/base.raw"
        (New-UblkImage data.qcow2 8MB -DataFile data.raw -DataFileRaw).DataFile | Should -Be "$folder/data.raw"
        Test-WithQemu $folder/data.qcow2
        { New-UblkImage b.qcow2 -BackingPath base.raw -ErrorAction Stop } | Should -Throw '*never guessed*'
        { New-UblkImage b.qcow2 1MB -ClusterSize 3000 -ErrorAction Stop } | Should -Throw '*power of two*'
        { New-UblkImage b.qcow2 1MB -ErrorAction Stop -WhatIf } | Should -Not -Throw
        Test-Path b.qcow2 | Should -BeFalse
    }

    It 'leaves nothing when it is stopped' {
        $stop = [Threading.CancellationTokenSource]::new()
        $operation = [Ublk.Images.CreateImage]@{
            Path = "$folder/stopped.raw"; Size = 4GB; Options = [Ublk.Images.NewImageOptions]@{ Format = 'Raw'; Preallocation = 'Full' }
        }
        { [Ublk.Images.ImageJob]::Run($operation, "$modulePath/worker", { $stop.Cancel() }, { }, $stop.Token) } | Should -Throw '*cancel*'
        Get-ChildItem $folder -Force | Where-Object Name -Match 'stopped|^\.' | Should -BeNullOrEmpty
        Wait-For { -not (Get-Worker) }
    }
}

Describe 'An image' {
    BeforeAll {
        $image = New-FilledImage c.qcow2
    }

    It 'is shown in a table, in a list, and as a map' {
        Get-UblkImage *.qcow2 | Out-String -Width 200 | Should -Match 'Qcow2 +16 MiB'
        $list = Get-UblkImage $image | Format-List | Out-String -Width 200
        $list | Should -Match 'ClusterSize +: 65536 \(64 KiB\)'
        $map = Get-UblkImage $image -Map
        ($map | Where-Object Data | Measure-Object Length -Sum).Sum | Should -Be 3MB
        ($map | Measure-Object Length -Sum).Sum | Should -Be 16MB
    }

    It 'is checked, and repaired when it was damaged' {
        (Test-UblkImage c.qcow2).Condition | Should -Be Clean
        Test-UblkImage c.qcow2 -Quiet | Should -BeTrue
        $file = [IO.File]::Open($image, 'Open', 'ReadWrite')
        $file.Position = 0x20000
        $file.Write([byte[]]::new(8), 0, 8)
        $file.Dispose()
        Test-UblkImage c.qcow2 -Quiet | Should -BeFalse
        $found = Get-Item c.qcow2 | Test-UblkImage
        $found.Condition | Should -Be Corrupt
        $found.Findings[0] | Should -Match 'Cluster 0 is referred to 1 times'
        Repair-UblkImage c.qcow2 -WhatIf | Should -BeNullOrEmpty
        { Repair-UblkImage c.qcow2 -LeaksOnly -ErrorAction Stop } | Should -Throw '*Repair-UblkImage*' -ErrorId 'InvalidImage,*'
        (Repair-UblkImage c.qcow2).CorruptionsFixed | Should -BeGreaterThan 0
        Test-UblkImage c.qcow2 -Quiet | Should -BeTrue
        Test-WithQemu $image
    }

    It 'has snapshots' {
        (Checkpoint-UblkImage c.qcow2 'first one').Id | Should -Be 1
        $null = Invoke-Program qemu-io -f qcow2 -c 'write -P 2 0 1M' $image
        $null = Get-Item c.qcow2 | Checkpoint-UblkImage -Name second
        (Get-UblkImageSnapshot c.qcow2).Name | Should -Be 'first one', second
        (TabExpansion2 'Restore-UblkImageSnapshot c.qcow2 fi').CompletionMatches.CompletionText | Should -Be "'first one'"
        Restore-UblkImageSnapshot c.qcow2 'first one' -Confirm:$false
        $null = Invoke-Program qemu-io -f qcow2 -c 'read -P 1 0 1M' $image
        Get-UblkImageSnapshot c.qcow2 sec* | Remove-UblkImageSnapshot -Confirm:$false
        Invoke-Program qemu-img snapshot -l $image | Out-String | Should -Not -Match second
        { Restore-UblkImageSnapshot c.qcow2 second -Confirm:$false -ErrorAction Stop } |
            Should -Throw '*no snapshot*' -ErrorId 'SnapshotNotFound,Ublk.PowerShell.Commands.RestoreUblkImageSnapshotCommand'
        { Checkpoint-UblkImage c.qcow2 'first one' -ErrorAction Stop } |
            Should -Throw '*first one*' -ErrorId 'SnapshotExists,Ublk.PowerShell.Commands.CheckpointUblkImageCommand'
        Remove-UblkImageSnapshot c.qcow2 1 -Confirm:$false
        Test-WithQemu $image
    }

    It 'has bitmaps' {
        (New-UblkImageBitmap c.qcow2 'day one' -Granularity 4KB).Granularity | Should -Be 4KB
        $null = Get-Item c.qcow2 | New-UblkImageBitmap -Name week
        (Get-UblkImageBitmap c.qcow2 day*).Name | Should -Be 'day one'
        (TabExpansion2 'Remove-UblkImageBitmap c.qcow2 da').CompletionMatches.CompletionText | Should -Be "'day one'"
        { New-UblkImageBitmap c.qcow2 week -ErrorAction Stop } |
            Should -Throw '*week*' -ErrorId 'BitmapExists,Ublk.PowerShell.Commands.NewUblkImageBitmapCommand'
        Clear-UblkImageBitmap c.qcow2 'day one' -Confirm:$false
        Get-UblkImageBitmap c.qcow2 | Remove-UblkImageBitmap -Confirm:$false
        { Clear-UblkImageBitmap c.qcow2 week -Confirm:$false -ErrorAction Stop } |
            Should -Throw '*no bitmap*' -ErrorId 'BitmapNotFound,Ublk.PowerShell.Commands.ClearUblkImageBitmapCommand'
        Test-WithQemu $image
    }

    It 'grows, gives room back, and is converted' {
        (Resize-UblkImage c.qcow2 32MB -PassThru).VirtualSize | Should -Be 32MB
        { Resize-UblkImage c.qcow2 1MB -ErrorAction Stop } | Should -Throw '*-AllowShrink*'
        $before = (Get-UblkImage c.qcow2).DiskSize
        (Optimize-UblkImage c.qcow2 -PassThru).DiskSize | Should -BeLessThan ($before - 1MB)
        $small = Convert-UblkImage c.qcow2 small.qcow2 -Compress -CompressionType Zstd
        ('c.qcow2' | Convert-UblkImage -DestinationPath whole.raw).Format | Should -Be Raw
        foreach ($copy in 'small.qcow2', 'whole.raw') {
            $null = Invoke-Program qemu-img compare -q $image $folder/$copy
        }
        (Test-UblkImage small.qcow2).CompressedClusters | Should -BeGreaterThan 0
        (New-UblkImage empty.img 1MB).Format | Should -Be Raw
    }

    It 'is compared, measured, merged into its backing file, and given another' {
        $null = Convert-UblkImage c.qcow2 base.qcow2
        $null = New-UblkImage top.qcow2 -BackingPath base.qcow2 -BackingFormat Qcow2
        Compare-UblkImage c.qcow2 top.qcow2 -Quiet | Should -BeTrue
        $null = Invoke-Program qemu-io -f qcow2 -c 'write -P 77 5M 1M' $folder/top.qcow2
        (Compare-UblkImage top.qcow2 base.qcow2).FirstDifference | Should -Be 5MB
        (Measure-UblkImage top.qcow2).Required | Should -BeGreaterThan 1MB
        (Measure-UblkImage -Size 1GB).FullyAllocated | Should -BeGreaterThan 1GB
        (Set-UblkImage top.qcow2 -BackingPath c.qcow2 -BackingFormat Qcow2 -PassThru).BackingFile | Should -Be c.qcow2
        (Set-UblkImage top.qcow2 -BackingPath base.qcow2 -BackingFormat Qcow2 -HeaderOnly -PassThru).BackingFile | Should -Be base.qcow2
        Merge-UblkImage top.qcow2 -WhatIf
        (Merge-UblkImage top.qcow2 -PassThru -Confirm:$false).Path | Should -Be $folder/base.qcow2
        $null = Invoke-Program qemu-img compare -q $folder/top.qcow2 $folder/base.qcow2
        $null = Invoke-Program qemu-io -f qcow2 -c 'read -P 77 5M 1M' $folder/base.qcow2
        Set-UblkImage top.qcow2 -BackingPath ''
        (Get-UblkImage top.qcow2).BackingFile | Should -BeNullOrEmpty
        Test-WithQemu $folder/top.qcow2
    }

    It 'is left alone while somebody has it' {
        $held = [Ublk.Images.ImageJob].Assembly.GetType('Ublk.Files.DiskFile').GetMethod('OpenForWriting').Invoke($null, @($image))
        try {
            (Get-UblkImage c.qcow2).InUse | Should -BeTrue
            { Checkpoint-UblkImage c.qcow2 third -ErrorAction Stop } |
                Should -Throw '*in use*' -ErrorId 'BackingFileInUse,Ublk.PowerShell.Commands.CheckpointUblkImageCommand'
            { Convert-UblkImage c.qcow2 third.qcow2 -ErrorAction Stop } | Should -Throw '*in use*'
        }
        finally {
            $held.Dispose()
        }
        Test-Path third.qcow2 | Should -BeFalse
    }
}
