# Queues whose requests several threads share.

BeforeDiscovery {
    . $PSScriptRoot/Kernel.ps1
    $canShare = $kernel -ge '6.16'
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"

    # The ticks that each of a device's threads has used.
    function Get-ThreadTick($Device) {
        $Device.Queues | ForEach-Object {
            $fields = (Get-Content "/proc/$($Device.ProcessId)/task/$($_.ThreadId)/stat") -replace '^.*\) ' -split ' '
            [int] $fields[11] + [int] $fields[12]
        }
    }
}

Describe 'A queue of three threads' -Skip:(-not $canShare) {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    BeforeEach {
        New-Image $image 64MB
    }

    It 'keeps what fio writes, with <Mode> and a depth of <Depth>' -Tag Core -ForEach @(
        @{ Mode = 'Copy'; Depth = 128 }
        @{ Mode = 'Copy'; Depth = 4 }
        @{ Mode = 'ZeroCopy'; Depth = 64 }
        @{ Mode = 'UserCopy'; Depth = 64 }
    ) {
        $device = New-UblkDevice -Target Loop -Path $image -ThreadsPerQueue 3 -QueueCount 2 -QueueDepth $Depth -BufferMode $Mode
        $device.Queues.Id | Should -Be 0, 0, 0, 1, 1, 1
        Wait-Fio (Start-Fio $device '--runtime=2', '--iodepth=64', '--size=32M')
        Invoke-Program cmp $device $image
    }

    It 'has each of them work' {
        $device = New-UblkDevice -Target Null -ThreadsPerQueue 3
        Invoke-Program fio --name=all "--filename=$device" --rw=randread --bs=4k --iodepth=128 --iodepth_batch=64 --ioengine=libaio --direct=1 --time_based --runtime=3 `
            --output-format=terse
        Get-ThreadTick $device | Where-Object { $_ -eq 0 } | Should -BeNullOrEmpty
    }

    It 'comes back after worker upon worker is killed, with <Mode>' -Tag Core -ForEach @{ Mode = 'Copy' }, @{ Mode = 'ZeroCopy' } {
        $device = New-UblkDevice -Target Loop -Path $image -ThreadsPerQueue 3 -QueueDepth 32 -BufferMode $Mode -Recovery Reissue
        $fio = Start-Fio $device '--iodepth=32', '--size=16M'
        1..2 | ForEach-Object {
            Start-Sleep 1
            Stop-Worker
            $device | Start-UblkDevice
        }
        (Get-UblkDevice).Queues.Count | Should -Be 3
        Stop-Fio $fio
        Invoke-Program cmp $device $image
    }

    It 'hands over to the next worker though each thread is busy' {
        $device = New-UblkDevice -Target Loop -Path $image -ThreadsPerQueue 3 -QueueDepth 4 -Recovery Reissue
        $fio = Start-Fio $device '--iodepth=4', '--size=16M'
        1..3 | ForEach-Object {
            Start-Sleep -Milliseconds 500
            $device | Update-UblkDevice
        }
        $device | Suspend-UblkDevice
        $device | Resume-UblkDevice
        Stop-Fio $fio
        Invoke-Program cmp $device $image
    }

    It 'is stopped, started and shown as it is' {
        $device = New-UblkDevice -Target Null -Size 64MB -ThreadsPerQueue 3
        $device | Stop-UblkDevice
        $device | Start-UblkDevice
        $device = Get-UblkDevice
        $device.ThreadsPerQueue | Should -Be 3
        $device | Format-List | Out-String | Should -Match 'ThreadsPerQueue +: 3'
        $device.Queues.Count | Should -Be 3
        $device.Queues.ThreadId | Sort-Object -Unique | Should -HaveCount 3
    }

    It 'has its CPUs dealt out' {
        $device = New-UblkDevice -Target Null -Size 64MB -ThreadsPerQueue 2
        $device.Queues.Affinity | Sort-Object | Should -Be '0', '1'
        $device | Set-UblkDevice -QueueAffinity 0
        (Get-UblkDevice).Queues.Affinity | Should -Be '0', '0'
        $device | Set-UblkDevice -QueueAffinity 0-1
        (Get-UblkDevice).Queues.Affinity | Should -Be '0', '1'
        (Get-UblkDevice).Queues | ForEach-Object { (Invoke-Program taskset -cp $_.ThreadId) -replace '.*: ' } | Should -Be '0', '1'
    }
}

Describe 'Several threads for a queue' -Tag Core {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'are an error where this kernel binds a queue to one' -Skip:$canShare {
        { New-UblkDevice -Target Null -ThreadsPerQueue 2 -ErrorAction Stop } | Should -Throw 'ThreadsPerQueue*needs kernel 6.16*' -ErrorId "NotSupported,$new"
        Get-UblkDevice | Should -BeNullOrEmpty
    }

    It 'are no more than its tags' {
        { New-UblkDevice -Target Null -QueueDepth 2 -ThreadsPerQueue 3 -ErrorAction Stop } | Should -Throw '*from 1 to*2, not 3*' -ErrorId "InvalidArgument,$new"
    }
}
