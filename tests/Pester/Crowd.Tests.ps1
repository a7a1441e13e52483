# Many disks, and many shells at once.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $start = 'Ublk.PowerShell.Commands.StartUblkDeviceCommand'
    $many = $env:UBLK_SOAK ? 64 : 8
    $commands = $env:UBLK_SOAK ? 4 : 2
    Invoke-Program ln -s $ublk "$TestDrive/ublk"

    function Get-AvailableMemory {
        [long] ((Get-Content /proc/meminfo | Where-Object { $_ -like 'MemAvailable:*' }) -split '\s+')[1] * 1KB
    }

    # Runs scripts at the same moment, each in a PowerShell of its own, and returns what each wrote.
    function Invoke-Together([string[]] $Script) {
        $shells = $Script | ForEach-Object { New-Shell $_ }
        $running = $shells | ForEach-Object { $_.BeginInvoke() }
        $running | ForEach-Object { $_.AsyncWaitHandle.WaitOne(600000) | Should -BeTrue }
        0..($shells.Count - 1) | ForEach-Object { $shells[$_].EndInvoke($running[$_]) | ForEach-Object ToString; $shells[$_].Dispose() }
    }
}

Describe 'Several shells' -Tag Fire {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'make and remove many disks, beside commands' {
        Invoke-Program bash -c 'for i in $(seq $0); do head -c 1M /dev/urandom > "$1/$i.img"; done' $many $TestDrive
        # What the first disk of all costs the kernel and this process is there to stay.
        $null = Invoke-Together 'New-UblkDevice -Target Null', "$TestDrive/ublk add -t null"
        Remove-EveryDevice
        $before = Get-AvailableMemory
        $half, $next = ($many / 2), ($many / 2 + 1)

        Invoke-Together "1..$half | ForEach-Object { `$null = New-UblkDevice -Target Loop -Path $TestDrive/`$_.img -ErrorAction Stop }",
            "bash -c 'seq $next $many | xargs -P $commands -I% $TestDrive/ublk add --quiet -t loop -f $TestDrive/%.img 2>&1'; `$LASTEXITCODE" |
            Should -Be 0
        $devices = Get-UblkDevice
        $devices.Count | Should -Be $many
        $devices.State | Sort-Object -Unique | Should -Be 'Live'
        ($devices.Id -join ' ') | Should -Be ((0..($many - 1)) -join ' ')
        ($devices.ProcessId | Sort-Object -Unique).Count | Should -Be $many
        $devices | ForEach-Object { Invoke-Program cmp $_ $_.BackingPath }

        Invoke-Together "0..$($half - 1) | ForEach-Object { Remove-UblkDevice -Id `$_ -ErrorAction Stop }",
            "bash -c 'seq $half $($many - 1) | xargs -P $commands -I% $TestDrive/ublk del -n % 2>&1'; `$LASTEXITCODE" |
            Should -Be 0
        Get-Leftover | Should -BeNullOrEmpty
        Get-Content /proc/net/unix | Where-Object { $_ -like '*@ublk-launch*' } | Should -BeNullOrEmpty
        [GC]::Collect()
        $before - (Get-AvailableMemory) | Should -BeLessThan 64MB
        (New-UblkDevice -Target Null).Id | Should -Be 0
    }

    It 'that want the same id: one gets it' {
        $script = "try { (New-UblkDevice -Target Null -Id 7 -ErrorAction Stop).State } catch { `$_.FullyQualifiedErrorId }"
        Invoke-Together $script, $script | Sort-Object | Should -Be "DeviceIdInUse,$new", 'Live'
        (Get-UblkDevice).Id | Should -Be 7
    }

    It 'that want the same file: one gets it' {
        New-Image "$TestDrive/one.img" 8MB
        $script = "try { (New-UblkDevice -Target Loop -Path $TestDrive/one.img -ErrorAction Stop).State } catch { `$_.FullyQualifiedErrorId }"
        Invoke-Together $script, $script | Sort-Object | Should -Be "BackingFileInUse,$new", 'Live'
        (Get-UblkDevice).BackingPath | Should -Be "$TestDrive/one.img"
    }

    It 'that recover the same disk: one does' {
        New-Image "$TestDrive/one.img" 8MB
        $device = New-UblkDevice -Target Loop -Path "$TestDrive/one.img" -Recovery Reissue
        Stop-Worker
        $script = "try { (Start-UblkDevice -Id 0 -PassThru -ErrorAction Stop).State } catch { `$_.FullyQualifiedErrorId }"
        Invoke-Together $script, $script | Sort-Object | Should -Be "DeviceStateInvalid,$start", 'Live'
        Invoke-Program cmp $device "$TestDrive/one.img"
    }

    It 'that remove the same disk: it goes, and nobody hangs' {
        $null = New-UblkDevice -Target Null -Size 64MB -AutoRestart
        $script = "try { Remove-UblkDevice -Id 0 -ErrorAction Stop; 'Removed' } catch { `$_.FullyQualifiedErrorId }"
        Invoke-Together $script, $script | Sort-Object -Unique | ForEach-Object { $_ | Should -BeIn 'Removed', "DeviceNotFound,$remove" }
        Get-Leftover | Should -BeNullOrEmpty
    }
}
