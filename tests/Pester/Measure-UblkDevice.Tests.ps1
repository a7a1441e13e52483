# What a disk does is seen from outside, to the request; and what its worker said is found again.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $device = New-UblkDevice -Target Null -Size 64MB

    # A counter of the Prometheus text.
    function Get-Counter([string] $Name) {
        [long] ((Get-UblkMetric -Id 0 | Where-Object { $_.StartsWith($Name) }) -split ' ')[-1]
    }
}

AfterAll {
    Remove-EveryDevice
}

Describe 'Measure-UblkDevice' {
    It 'counts each request, and its bytes' {
        $writes = Get-Counter 'ublk_requests_total{device="ublkb0",operation="write"}'
        $bytes = Get-Counter 'ublk_request_bytes_total{device="ublkb0",operation="write"}'
        Invoke-Program dd if=/dev/zero "of=$device" bs=16k count=50 oflag=direct
        Get-Counter 'ublk_requests_total{device="ublkb0",operation="write"}' | Should -Be ($writes + 50)
        Get-Counter 'ublk_request_bytes_total{device="ublkb0",operation="write"}' | Should -Be ($bytes + 50 * 16KB)
        Get-Counter 'ublk_request_duration_seconds_count{device="ublkb0",operation="write"}' | Should -Be ($writes + 50)
        Get-Counter 'ublk_requests_in_flight{device="ublkb0"}' | Should -Be 0
    }

    It 'tells rates, times and sizes of a disk in use, again and again' {
        $load = Start-Process fio -PassThru -RedirectStandardOutput "$TestDrive/fio.out" -ArgumentList '--name=load', "--filename=$device",
            '--rw=randread', '--bs=4k', '--direct=1', '--time_based', '--runtime=60', '--thread'
        Wait-For { (Measure-UblkDevice -Id 0 -Duration 0.1).ReadsPerSecond -gt 0 }
        $measurements = [Collections.Generic.List[object]]::new()
        do {
            Get-UblkDevice | Measure-UblkDevice -Duration 0.5 -Continuous | ForEach-Object {
                $measurements.Add($_)
                if ($measurements.Count -eq 2) { break }
            }
        } while ($false)
        $graph = Measure-UblkDevice -Path $device -Duration 0.5 | Format-UblkMeasurement
        $watch = Watch-UblkDevice -Path $device -Interval 0.5 -Count 2
        $load.Kill()
        $load.WaitForExit()

        $watch.Count | Should -Be 2
        $watch[1] | Should -Match "(?m)^$device +[1-9].*[▁▂▃▄▅▆▇]?█"
        $measurements.Count | Should -Be 2
        foreach ($one in $measurements) {
            $one.Id | Should -Be 0
            $one.ReadsPerSecond | Should -BeGreaterThan 0
            # Looked at in the middle of a turn, the one may be ahead of the other.
            $one.ReadBytesPerSecond / $one.ReadsPerSecond | Should -BeGreaterThan 4000
            $one.ReadBytesPerSecond / $one.ReadsPerSecond | Should -BeLessThan 4200
            $one.ReadP50Micros | Should -BeGreaterThan 0
            $one.ReadP50Micros | Should -Not -BeGreaterThan $one.ReadP99Micros
            $one.ReadP99Micros | Should -Not -BeGreaterThan $one.ReadP999Micros
            $one.ReadP999Micros | Should -Not -BeGreaterThan $one.ReadMaxMicros
            $one.WriteP50Micros | Should -BeNullOrEmpty
            "$($one.ReadSizes)" | Should -Match '^4096:\d+$'
            $one.Errors | Should -Be 0
        }
        $graph -join "`n" | Should -Match '(?s)read latency\n.* [um]?s \|#+.*read size\n +4 KiB \|#+'
    }

    It 'keeps the counters where the record is, for the owner alone' {
        Invoke-Program stat -c '%a %u' /run/ublk/0.counters | Should -Be '600 0'
    }

    It 'says so when there is no such device' {
        { Measure-UblkDevice -Id 77 -ErrorAction Stop } | Should -Throw -ErrorId 'DeviceNotFound,*'
    }
}

Describe 'Get-UblkLog' {
    It 'finds what the worker said' -Skip:((Test-Path /dev/log) -or (Test-Path /run/systemd/journal/socket)) {
        $entry = Get-UblkDevice -Id 0 | Get-UblkLog -Since $device.StartTime.AddMinutes(-1) | Where-Object Message -Like '*is live*' | Select-Object -Last 1
        $entry.Id | Should -Be 0
        $entry.Level | Should -Be 'Information'
        $entry.ProcessId | Should -Be $device.ProcessId
    }
}

Describe 'New-UblkDevice' {
    It 'tells the steps with -Verbose, and the commands with -Debug' {
        $streams = New-UblkDevice -Target Null -Id 9 -Verbose -Debug 4>&1 5>&1
        $verbose = $streams | Where-Object { $_ -is [Management.Automation.VerboseRecord] } | ForEach-Object Message
        $debug = $streams | Where-Object { $_ -is [Management.Automation.DebugRecord] } | ForEach-Object Message
        $verbose -join "`n" | Should -Match 'has opened the target'
        $debug | Should -Contain 'worker: ADD_DEV 9: 0'
        $debug | Should -Contain 'START_DEV 9: 0'
        $debug -join "`n" | Should -Match 'worker: SET_PARAMS 9: 0'
    }

    It 'leaves no counters behind' {
        Remove-EveryDevice
        Get-ChildItem /run/ublk -Filter *.counters | Should -BeNullOrEmpty
    }
}
