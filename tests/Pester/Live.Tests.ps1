# What changes behind a disk while it is in use.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $set = 'Ublk.PowerShell.Commands.SetUblkDeviceCommand'
}

Describe 'Set-UblkDevice of a disk in use' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'sets limits and filters, which the next worker keeps, while fio loses nothing' {
        $device = New-UblkDevice -Target Loop -Path (New-Image "$TestDrive/limited.img" 64MB) -QueueCount 2 -Recovery Reissue
        $fio = Start-Fio $device
        foreach ($round in 1..20) {
            Set-UblkDevice 0 -ReadLimit 400MB -WriteLimit ($round * 10MB) -WriteRequestLimit 100000
            Set-UblkDevice 0 -Filter "Delay=$($round % 3)", 'RateLimit=1GB'
        }

        # Far too low: what waits for it goes on at once when it ends.
        Set-UblkDevice 0 -ReadLimit 1
        Set-UblkDevice 0 -ReadLimit 0 -Filter @() -WriteLimit 300MB -LimitBurst 50
        "$((Get-UblkDevice 0).Filters)" | Should -Be 'RateLimit;WriteLimit=314572800;LimitBurst=50'
        Stop-Fio $fio
        Stop-Worker
        Start-UblkDevice -Id 0
        "$((Get-UblkDevice 0).Filters)" | Should -Be 'RateLimit;WriteLimit=314572800;LimitBurst=50'
        Set-UblkDevice 0 -WriteLimit 0 -PassThru | ForEach-Object Filters | Should -BeNullOrEmpty
    }

    It 'lets go of requests that a filter had kept, and refuses filters with state' {
        $device = New-UblkDevice -Target Null -Size 64MB -Filter "Offset=4096"
        Set-UblkDevice 0 -Filter 'HangEvery=1', 'Offset=4096'
        $read = Start-Process dd "if=$device", 'of=/dev/null', 'bs=4k', 'count=1', 'iflag=direct' -PassThru -RedirectStandardError /dev/null
        { Set-UblkDevice 0 -Filter 'Delay=1', 'Overlay' -ErrorAction Stop } | Should -Throw '*keep no state*' -ErrorId "NotSupported,$set"
        $read.HasExited | Should -BeFalse
        Set-UblkDevice 0 -Filter @()
        $read | Wait-Process
        $read.ExitCode | Should -Be 0
        "$((Get-UblkDevice 0).Filters)" | Should -Be 'Offset=4096'
    }
}
