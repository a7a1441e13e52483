# Targets from assemblies, of which the tutorial's is one: its PowerShell is run as it stands, and others are refused by name.

BeforeDiscovery {
    $plugin = "$PSScriptRoot/../../out/documentation/Secret/plugin/Secret.dll"
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $folder = "$TestDrive/Secret"
    $null = New-Item -ItemType Directory -Force $folder
    Copy-Item "$root/out/documentation/Secret/plugin" $folder -Recurse
    Invoke-Program chmod -R go-w $folder
    $secret = "$folder/plugin/Secret.dll"
}

Describe 'A target from an assembly' -Skip:(-not (Test-Path $plugin)) {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is what the tutorial says, command by command' {
        $text = Get-Content -Raw "$root/docs/tutorial.md"
        $commands = [regex]::Matches($text, '(?ms)^```powershell$(.*?)^```$') | ForEach-Object { $_.Groups[1].Value }
        $commands.Count | Should -BeGreaterOrEqual 3
        Push-Location $folder
        try {
            $said = & ([scriptblock]::Create("`$ErrorActionPreference = 'Stop'; `$PSNativeCommandUseErrorActionPreference = `$true`n$($commands -join "`n")"))
        }
        finally {
            Pop-Location
        }
        $said | Should -Contain 'Hello from my own disk.'
    }

    It 'has its options completed and checked' {
        $line = "New-UblkDevice -Assembly '$secret' -Target Secret -K"
        [Management.Automation.CommandCompletion]::CompleteInput($line, $line.Length, $null).CompletionMatches.CompletionText | Should -Contain '-Key'
        $target = Get-UblkTarget Secret -Assembly $secret
        $target.Options.Name | Should -Be 'Size', 'Key'
        { New-UblkDevice -Assembly $secret -Target Secret } | Should -Throw -ErrorId "InvalidArgument,$new"
        { New-UblkDevice -Assembly $secret -Target Secret -Option @{ Size = 1MB; Colour = 1 } } | Should -Throw -ErrorId "UnsupportedOption,$new"
        { New-UblkDevice -Assembly $secret -Target Other } | Should -Throw -ErrorId "UnknownTarget,$new"
    }

    It 'survives its worker, restored by a supervisor, and its update' {
        $device = New-UblkDevice -Assembly $secret -Target Secret -Option @{ Size = '8MB' } -AutoRestart
        $device.Assembly | Should -Be $secret
        $first = $device.ProcessId
        Invoke-Program env kill -KILL $first
        Wait-For { ($now = Get-UblkDevice $device.Id).State -eq 'Live' -and $now.ProcessId -and $now.ProcessId -ne $first } -Seconds 300
        Invoke-Program dd "if=$device" of=/dev/null bs=1M count=1 iflag=direct
        if ($device.Flags -band [Ublk.Control.UblkFeatures]::Quiesce) {
            ($device | Update-UblkDevice -PassThru).State | Should -Be 'Live'
        }
    }

    It 'that fails when it is opened is an error of its own device, and leaves nothing' {
        { New-UblkDevice -Assembly $secret -Target Secret -Size 1000 -ErrorAction Stop } | Should -Throw -ErrorId "InvalidArgument,$new"
    }

    It 'is not loaded from where others can write, nor where it is none' {
        Invoke-Program chmod o+w $folder/plugin
        { New-UblkDevice -Assembly $secret -Target Secret -Size 1MB } | Should -Throw -ErrorId "PluginNotTrusted,$new"
        Invoke-Program chmod o-w $folder/plugin
        Set-Content "$folder/text.dll" 'text'
        { New-UblkDevice -Assembly "$folder/text.dll" -Target Secret } | Should -Throw -ErrorId "PluginInvalid,$new"
        { New-UblkDevice -Assembly "$modulePath/bin/Ublk.Engine.dll" -Target Loop } | Should -Throw -ErrorId "PluginInvalid,$new"
    }
}
