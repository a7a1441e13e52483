# The filters ErrorRate, Delay and HangEvery: what is asked for goes wrong for the disk's client, and nothing else does.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    $mount = "$TestDrive/mnt"
    $null = New-Item -ItemType Directory -Force $mount

    # Writes each block of a fresh disk once, by one job with one request at a time. Returns how many writes failed by fio's
    # count, and how many blocks of the file have no data.
    function Measure-FailedWrite([double] $ErrorRate, [int] $Seed) {
        New-Image $image 4MB
        $device = New-UblkDevice -Target Loop -Path $image -Filter @{ ErrorRate = $ErrorRate; ErrorOn = 'Write'; Seed = $Seed }
        $json = fio --name=faults "--filename=$device" --rw=write --bs=4k --size=4M --ioengine=psync --direct=1 --zero_buffers=0 `
            --continue_on_error=write --output-format=json
        $device | Remove-UblkDevice
        $fio = ($json | Where-Object { $_ -notlike 'fio: *' }) -join "`n" | ConvertFrom-Json
        @{ Errors = $fio.jobs[0].total_err; Holes = 1024 - [int] ((Invoke-Program du -k $image) -split '\s')[0] / 4 }
        Remove-Item $image
    }
}

Describe 'A disk with faults' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
        Remove-Item $image -ErrorAction Ignore
    }

    It 'is an ordinary one where nothing is to go wrong' {
        New-Image $image 8MB -Random
        $device = New-UblkDevice -Target Loop -Path $image -Offset 1MB -Filter 'HangEvery=0', 'Delay=0', 'ErrorRate=0'
        $device.BackingPath | Should -Be $image
        Invoke-Program cmp -i '0:1MiB' $device $image
        Invoke-Program fio --name=raw "--filename=$device" --rw=randwrite --bs=4k --size=2M --ioengine=libaio --iodepth=16 `
            --direct=1 --verify=xxhash --verify_fatal=1 --output-format=terse
    }

    It 'delays each request at least as long as asked' {
        New-Image $image 8MB -Random
        $device = New-UblkDevice -Target Loop -Path $image -Filter 'Delay=50'
        $clock = [Diagnostics.Stopwatch]::StartNew()
        Invoke-Program dd "if=$device" "of=$TestDrive/read" bs=4k count=20 iflag=direct
        $clock.ElapsedMilliseconds | Should -BeGreaterOrEqual 1000
        Invoke-Program cmp -n 80KiB "$TestDrive/read" $image
    }

    It 'fails the operations chosen, with the error chosen' {
        New-Image $image 8MB -Random
        $device = New-UblkDevice -Target Loop -Path $image -Filter @{ ErrorRate = 1; ErrorOn = 'Write', 'Discard'; ErrorKind = 'ENOSPC' }
        Invoke-Failure dd if=/dev/zero "of=$device" bs=4k count=1 oflag=direct | Should -Match 'No space left on device'
        Invoke-Failure blkdiscard -l 1MiB $device | Should -Match 'No space left on device'
        Invoke-Program cmp $device $image
    }

    It 'fails reads with EIO unless told otherwise' {
        New-Image $image 8MB
        $device = New-UblkDevice -Target Loop -Path $image -Filter 'ErrorRate=1;ErrorOn=Read'
        Invoke-Failure dd "if=$device" of=/dev/null bs=4k count=1 iflag=direct | Should -Match 'Input/output error'
        Invoke-Program dd if=/dev/zero "of=$device" bs=4k count=1 oflag=direct
    }

    It 'fails a share of the requests, the same ones for the same seed, and does the others' {
        $first = Measure-FailedWrite -ErrorRate 0.1 -Seed 7
        $first.Errors | Should -BeGreaterThan 50
        $first.Errors | Should -BeLessThan 160
        $first.Holes | Should -Be $first.Errors
        (Measure-FailedWrite -ErrorRate 0.1 -Seed 7).Errors | Should -Be $first.Errors
        (Measure-FailedWrite -ErrorRate 0.1 -Seed 8).Errors | Should -Not -Be $first.Errors
    }

    It 'that hangs hinders no other, and can be removed by force' {
        New-Image $image 8MB
        $device = New-UblkDevice -Target Loop -Path $image -Filter 'HangEvery=100'
        New-Image "$TestDrive/other.img" 8MB
        $other = New-UblkDevice -Target Loop -Path "$TestDrive/other.img"
        Invoke-Program bash -c 'dd if="$0" of=/dev/null bs=4k iflag=direct > "$1" 2>&1 &' $device "$TestDrive/dd.log"
        $requests = "/sys/block/ublkb$($device.Id)/inflight"
        Wait-For { (Get-Content $requests) -match '^\s*1\s' }
        Invoke-Program fio --name=other "--filename=$other" --rw=randwrite --bs=4k --size=2M --ioengine=libaio --iodepth=16 `
            --direct=1 --verify=xxhash --verify_fatal=1 --output-format=terse
        Get-Content $requests | Should -Match '^\s*1\s'
        (Get-UblkDevice -Id $device.Id).State | Should -Be 'Live'

        $device | Remove-UblkDevice -Force
        Wait-For { (Get-Content "$TestDrive/dd.log") -match 'Input/output error' }
        (Get-UblkDevice).Id | Should -Be $other.Id
    }

    It 'makes ext4 turn read-only, and e2fsck repairs what is left' {
        New-Image $image 64MB
        Invoke-Program mkfs.ext4 -q -F $image
        $device = New-UblkDevice -Target Loop -Path $image -Filter 'ErrorRate=0.05;ErrorOn=Write;Seed=1'
        Invoke-Program mount -o errors=remount-ro $device $mount
        try {
            Wait-For {
                bash -c 'for i in {1..20}; do mkdir "$0/$RANDOM$i" && echo something > "$_/file"; sync; done' $mount 2> $null
                Get-Content /proc/mounts | Where-Object { $_ -match "^$device .*[ ,](emergency_)?ro[ ,]" }
            }
            Invoke-Failure touch "$mount/file" | Should -Match 'Read-only file system'
        }
        finally {
            Invoke-Program umount $mount
        }
        $device | Remove-UblkDevice
        $null = e2fsck -fy $image
        Invoke-Program e2fsck -fn $image
    }

    It 'completes what there is to choose' {
        $line = 'New-UblkDevice -Target Qcow2 -Discard U'
        [Management.Automation.CommandCompletion]::CompleteInput($line, $line.Length, $null).CompletionMatches.CompletionText |
            Should -Be 'Unmap'
    }
}
