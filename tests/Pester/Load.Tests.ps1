# Disks that lose their worker, or go, while many requests are in flight: each is answered, and nothing is left behind.

BeforeDiscovery {
    . $PSScriptRoot/Kernel.ps1
    $uncopied = $canZeroCopy ? 'ZeroCopy' : 'Copy'
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    New-Image $image 64MB

    # A disk with two queues, and fio with many requests on both.
    function Start-Load([string] $Target = 'Loop', [hashtable] $More = @{}, [string[]] $Fio) {
        $of = $Target -eq 'Loop' ? @{ Path = $image } : @{ Size = 64MB }
        $device = New-UblkDevice -Target $Target @of @More -QueueCount 2
        $script:fio = Start-Fio $device (@('--rw=randrw', '--norandommap', '--iodepth=64', '--numjobs=2', '--verify=0', '--runtime=100') + $Fio)
        Wait-For { ((Get-Content "/sys/block/ublkb$($device.Id)/stat").Trim() -split '\s+')[4] -gt 100 }
        $device
    }
}

Describe 'A disk under load' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'of <_> is removed by force' -Tag Core -ForEach 'Null', 'Loop' {
        Start-Load $_ | Remove-UblkDevice -Force
        Get-Leftover | Should -BeNullOrEmpty
        Wait-Fio $fio -Fails
    }

    It 'that is not copied is removed by force' -Skip:(-not $canZeroCopy) {
        Start-Load -More @{ BufferMode = 'ZeroCopy' } | Remove-UblkDevice -Force
        Get-Leftover | Should -BeNullOrEmpty
        Wait-Fio $fio -Fails
    }

    It 'dies with its worker, and can be removed' {
        $device = Start-Load
        Stop-Worker
        (Get-UblkDevice).State | Should -Be 'Crashed'
        Wait-Fio $fio -Fails
        $device | Remove-UblkDevice
    }

    It 'is removed as soon as its worker is killed, <Recovery>, <BufferMode>' -ForEach @(
        @{ Recovery = 'None'; BufferMode = $uncopied }
        @{ Recovery = 'Queue'; BufferMode = 'UserCopy' }
        @{ Recovery = 'Reissue'; BufferMode = $uncopied }
    ) {
        $device = Start-Load -More @{ Recovery = $Recovery; BufferMode = $BufferMode }
        Invoke-Program env kill -KILL $device.ProcessId
        $device | Remove-UblkDevice -Force
        Get-Leftover | Should -BeNullOrEmpty
        Wait-Fio $fio -Fails
    }

    It 'is recovered, loses its worker again and is removed' {
        $device = Start-Load -More @{ Recovery = 'Queue' } -Fio '--continue_on_error=io'
        Stop-Worker
        Start-UblkDevice -Id $device.Id
        $fio.HasExited | Should -BeFalse
        Invoke-Program env kill -KILL (Get-UblkDevice).ProcessId
        $device | Remove-UblkDevice -Force
        Get-Leftover | Should -BeNullOrEmpty
        $fio.WaitForExit(120000) | Should -BeTrue
    }
}

Describe 'A disk that hangs' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'fails what it holds as soon as its worker is killed' {
        $device = New-UblkDevice -Target Null -Size 64MB -Filter 'HangEvery=40'
        $reader = Start-Process dd -PassThru -ArgumentList "if=$device", 'of=/dev/null', 'bs=4k', 'iflag=direct' -RedirectStandardError "$TestDrive/dd.err"
        Wait-For { (Get-Content "/sys/block/ublkb$($device.Id)/inflight") -match '^\s*1\s' }
        Stop-Worker
        $reader.WaitForExit(60000) | Should -BeTrue
        Get-Content -Raw "$TestDrive/dd.err" | Should -Match 'Input/output error'
    }

    # Its partition table can't be read. Before 7.0 the driver itself waits for that.
    It 'from its first request does not hang who makes it' {
        # From 7.0 on the disk can be opened for a moment before the kernel reads its partition table: nothing hangs then.
        do {
            Remove-EveryDevice
            $shell = New-Shell "New-UblkDevice -Target Null -Filter 'HangEvery=1'"
            $running = $shell.BeginInvoke()
            Wait-For { (Test-Path /sys/block/ublkb0/inflight) -and (Get-Content /sys/block/ublkb0/inflight) -match '^\s*1\s' }
        } while ($running.IsCompleted)
        $shell.BeginStop($null, $null).AsyncWaitHandle.WaitOne(60000) | Should -BeTrue
        $running.IsCompleted | Should -BeTrue
        $shell.Dispose()
        Get-Leftover | Should -BeNullOrEmpty
    }

    # The kernel goes on waiting for the next worker.
    It 'from its first request is given up as soon as its worker dies' {
        $shell = New-Shell "New-UblkDevice -Target Null -Filter 'HangEvery=1' -Recovery Queue"
        $running = $shell.BeginInvoke()
        Wait-For { (Test-Path /sys/block/ublkb0/inflight) -and (Get-Content /sys/block/ublkb0/inflight) -match '^\s*1\s' }
        Invoke-Program env kill -KILL (Get-UblkDevice).ProcessId
        $running.AsyncWaitHandle.WaitOne(120000) | Should -BeTrue
        $shell.Streams.Error[0].FullyQualifiedErrorId | Should -Be "WorkerDied,$new"
        $shell.Dispose()
        Get-Leftover | Should -BeNullOrEmpty
    }
}
