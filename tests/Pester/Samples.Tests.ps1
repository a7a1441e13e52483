# Programs that serve a disk by themselves, with the library and without PowerShell. They are what samples/ has.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $random = "$TestDrive/random"
    $null = New-Image $random 4MB -Random

    # Starts the samples side by side, since the start of each takes a while; returns their processes, devices and output.
    function Start-Sample([string[]] $Name) {
        $started = foreach ($sample in $Name) {
            $dll = Get-ChildItem "$root/samples/$sample/bin/*/net10.0/$sample.dll" | Sort-Object LastWriteTime | Select-Object -Last 1
            $output = "$TestDrive/$sample.out"
            # A shell's background jobs ignore SIGINT.
            $script = '{ env --default-signal=INT dotnet "$0" > "$1" 2> "$1.err" & echo $! > "$1.pid"; wait $!; echo $? > "$1.exit"; } > /dev/null 2>&1 < /dev/null &'
            Invoke-Program bash -c $script $dll.FullName $output
            [pscustomobject]@{ Id = 0; Output = $output; Device = '' }
        }
        foreach ($one in $started) {
            $output = $one.Output
            Wait-For { if (Test-Path "$output.exit") { throw (Get-Content "$output.err") -join "`n" }; (Test-Path $output) -and (Get-Content $output) } 120
            $one.Device = Get-Content $output | Select-Object -First 1
            $one.Id = [int] (Get-Content "$output.pid")
        }
        $started
    }

    # Waits until a sample has ended, and returns its exit status.
    function Wait-Sample($Sample) {
        Wait-For { (Test-Path "$($Sample.Output).exit") -and (Get-Content "$($Sample.Output).exit") }
        Get-Content "$($Sample.Output).exit"
    }
}

Describe 'The samples' {
    BeforeAll {
        $null_, $event, $ram = Start-Sample demo-null, demo-event, demo-ram
    }

    AfterAll {
        Get-ChildItem $TestDrive -Filter *.out.pid | Where-Object { -not (Test-Path ($_.FullName -replace 'pid$', 'exit')) } |
            ForEach-Object { Invoke-Program env kill -KILL (Get-Content $_.FullName) }
        Wait-For { -not (Get-Leftover) }
    }

    It 'are devices like any other' {
        $devices = $null_, $event, $ram | ForEach-Object { Get-UblkDevice -Path $_.Device }
        $devices.State | Should -Be 'Live', 'Live', 'Live'
        $devices.ProcessId | Should -Be $null_.Id, $event.Id, $ram.Id
        Invoke-Program blockdev --getsize64 $null_.Device | Should -Be (1GB)
    }

    It 'demo-null is full of zeroes, whatever is written' {
        Invoke-Program dd "if=$random" "of=$($null_.Device)" bs=64k oflag=direct conv=fsync
        Invoke-Program cmp -n 4MiB $null_.Device /dev/zero
    }

    It 'demo-event answers from another thread and from a timer what was asked' {
        Invoke-Program dd "if=$random" "of=$($event.Device)" bs=64k oflag=direct conv=fsync
        Invoke-Program blockdev --flushbufs $event.Device
        Invoke-Program cmp -n 4MiB $event.Device $random
    }

    It 'demo-ram carries a file system, and gives back what is discarded' {
        Invoke-Program mkfs.ext4 -q $ram.Device
        Invoke-Program e2fsck -fn $ram.Device
        Invoke-Program blkdiscard $ram.Device
    }

    It 'remove their devices when they are told to end, and tell what they counted' {
        Invoke-Program env kill -INT $ram.Id
        Invoke-Program env kill -TERM $event.Id
        Wait-Sample $ram | Should -Be 0
        Wait-Sample $event | Should -Be 0
        Get-Content $ram.Output | Select-Object -Last 1 | Should -Match '^\d+ reads, [1-9]\d* writes, [1-9]\d* discards; 0 chunks in use$'
        (Get-UblkDevice).DevicePath | Should -Be $null_.Device
    }

    It 'leave nothing behind when they are killed' {
        Invoke-Program env kill -KILL $null_.Id
        Wait-For { -not (Get-Leftover) }
    }
}
