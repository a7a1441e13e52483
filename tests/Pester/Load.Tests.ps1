# Disks that lose their worker, or go, while many requests are under way: the users get an answer, and nothing stays behind.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    New-Image $image 64MB

    # A disk with two queues, and fio with many requests on both.
    function Start-Load([hashtable] $Of, [string[]] $Option) {
        $device = New-UblkDevice @Of -QueueCount 2
        $script:fio = Start-Fio $device (@('--rw=randrw', '--norandommap', '--iodepth=64', '--numjobs=2', '--verify=0', '--runtime=100') + $Option)
        Wait-For { ((Get-Content "/sys/block/ublkb$($device.Id)/stat").Trim() -split '\s+')[4] -gt 100 }
        $device
    }
}

AfterEach {
    Remove-AllDevices
    Get-Leftover | Should -BeNullOrEmpty
}

Describe 'A <Of.Target> disk under load' -Tag Fire -ForEach @(
    @{ Of = @{ Target = 'Null'; Size = 64MB } }
    @{ Of = @{ Target = 'Loop'; Path = "$TestDrive/disk.img" } }
) {
    BeforeAll {
        if ($Of.Target -eq 'Loop') {
            $Of.Path = $image
        }
    }

    It 'is removed by force' -Tag Core {
        Start-Load $Of | Remove-UblkDevice -Force -Confirm:$false
        Get-Leftover | Should -BeNullOrEmpty
        Wait-Fio $fio -Fails
    }

    It 'dies with its worker, and can be removed' {
        $device = Start-Load $Of
        Stop-Worker
        (Get-UblkDevice).State | Should -Be 'Dead'
        Wait-Fio $fio -Fails
        $device | Remove-UblkDevice
    }

    It 'is removed as soon as its worker is killed, <Recovery>' -ForEach @(
        @{ Recovery = 'None' }
        @{ Recovery = 'Queue' }
        @{ Recovery = 'Reissue' }
    ) {
        $device = Start-Load ($Of + @{ Recovery = $Recovery })
        Invoke-Program env kill -KILL $device.ProcessId
        $device | Remove-UblkDevice -Force -Confirm:$false
        Get-Leftover | Should -BeNullOrEmpty
        Wait-Fio $fio -Fails
    }

    It 'is recovered, loses its worker again and is removed' -Tag Core {
        $device = Start-Load ($Of + @{ Recovery = 'Reissue' })
        Stop-Worker
        Restore-UblkDevice -Id $device.Id
        $fio.HasExited | Should -BeFalse
        Invoke-Program env kill -KILL (Get-UblkDevice).ProcessId
        $device | Remove-UblkDevice -Force -Confirm:$false
        Wait-Fio $fio -Fails
    }
}

Describe 'A disk that hangs' -Tag Fire {
    It 'fails what it holds as soon as its worker is killed' {
        $device = New-UblkDevice -Target Fault -Path $image -HangEvery 40 -NoPartitionScan:$false
        $reader = Start-Process dd -PassThru -ArgumentList "if=$device", 'of=/dev/null', 'bs=4k', 'iflag=direct' -RedirectStandardError "$TestDrive/dd.err"
        Wait-For { (Get-Content "/sys/block/ublkb$($device.Id)/inflight") -match '^\s*1\s' }
        Stop-Worker
        $reader.WaitForExit(60000) | Should -BeTrue
        Get-Content -Raw "$TestDrive/dd.err" | Should -Match 'Input/output error'
    }

    It 'from the first request is an error, and hangs nobody' {
        $shell = New-WaitingShell "try { New-UblkDevice -Target Fault -Path $image -HangEvery 1 -ErrorAction Stop } catch { `$_.FullyQualifiedErrorId }"
        Start-Waiting $shell
        Receive-Waiting $shell | Should -Be "TimedOut,$new"
    }
}
