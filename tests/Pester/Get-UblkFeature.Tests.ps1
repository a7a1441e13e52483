# What the driver says it can do.

BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'Get-UblkFeature' -Tag Core {
    It 'tells what this kernel has, and what it is too old for' {
        $features = Get-UblkFeature
        $features.Bit | Should -Be (0..20)

        # Kernels before 6.15 have no zero copy, whose bit is older.
        $features | Where-Object { $_.Supported -ne ($_.Since -le $kernel) } | ForEach-Object Name | Should -BeNullOrEmpty
        foreach ($missing in $features | Where-Object Supported -EQ $false) {
            $missing.Note | Should -Match 'needs kernel \d+\.\d+ or newer, this is '
        }
    }

    It 'agrees with what a device gets' {
        $device = New-UblkDevice -Target Null -Size 64MB -Recovery Reissue
        $flags = "$($device.Flags)" -split ', '
        $device | Remove-UblkDevice
        $flags | Should -Contain 'UserRecoveryReissue'
        $supported = (Get-UblkFeature | Where-Object Supported).Name
        $flags | Where-Object { $_ -notin $supported } | Should -BeNullOrEmpty
    }

    It 'names the parameters that need a feature' {
        (Get-UblkFeature UpdateSize).Parameters | Should -Be 'Resize-UblkDevice'
        $commands = (Get-Module Ublk).ExportedCommands
        foreach ($command in (Get-UblkFeature).Parameters | Group-Object { ($_ -split ' ')[0] }) {
            $known = $commands[$command.Name].Parameters.Keys
            $command.Group -match ' -' -replace '^\S+ -(\S+).*', '$1' | Where-Object { $_ -notin $known } | Should -BeNullOrEmpty
        }
    }

    It 'finds by name' {
        (Get-UblkFeature usercopy, *recovery*).Name | Should -Be 'UserCopy', 'UserRecovery', 'UserRecoveryReissue', 'UserRecoveryFailIo'
        'Quiesce' | Get-UblkFeature | ForEach-Object Bit | Should -Be 12
        (TabExpansion2 'Get-UblkFeature Upd').CompletionMatches.CompletionText | Should -Be 'UpdateSize'
        { Get-UblkFeature Sparkle -ErrorAction Stop } |
            Should -Throw "*no feature named 'Sparkle'*" -ErrorId 'InvalidArgument,Ublk.PowerShell.Commands.GetUblkFeatureCommand'
    }

    It 'is a table with a line of meaning each' {
        $lines = Get-UblkFeature | Out-String -Width 200
        $lines | Should -Match ' 10 +UpdateSize +6\.16 +(True|False) +Resize-UblkDevice +A live disk can change its size'
    }
}
