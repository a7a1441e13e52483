# The help and the manifest say what the module has, no less and no more.

BeforeDiscovery {
    $commands = (Import-PowerShellDataFile "$PSScriptRoot/../../Ublk.psd1").CmdletsToExport
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'The help of <_>' -ForEach $commands {
    BeforeAll {
        $help = Get-Help $_
        $common = [Management.Automation.PSCmdlet]::CommonParameters
        $parameters = (Get-Command $_).Parameters.Keys
        if ($_ -in 'New-UblkDevice', 'Register-UblkDevice') {
            $command = $_
            $parameters += [Ublk.Targets.TargetCatalog]::All | ForEach-Object {
                (Get-Command $command -ArgumentList $_.Name).Parameters.Keys
            }
        }
        $parameters = $parameters | Where-Object { $_ -notin $common } | Sort-Object -Unique
    }

    It 'describes each parameter' {
        $help.parameters.parameter.name | Sort-Object | Should -Be $parameters
        $help.parameters.parameter | ForEach-Object { $_.description.Text | Should -Not -BeNullOrEmpty -Because $_.name }
    }

    It 'has each parameter in the syntax' {
        $help.syntax.syntaxItem.parameter.name | Sort-Object -Unique | Should -Be $parameters
    }

    It 'has a synopsis, a description and examples' {
        $help.Synopsis | Should -Not -BeNullOrEmpty
        $help.description.Text | Should -Not -BeNullOrEmpty
        @($help.examples.example).Count | Should -BeGreaterOrEqual 2
        $help.examples.example | ForEach-Object { $_.code | Should -Match $help.Name }
    }
}

Describe 'about_Ublk' {
    It 'lists the errors and the targets' {
        $text = Get-Content -Raw "$modulePath/en-US/about_Ublk.help.txt"
        [Enum]::GetNames([Ublk.UblkError]) | ForEach-Object { $text | Should -Match "\n    $_ +\S" }
        [Ublk.Targets.TargetCatalog]::All | ForEach-Object { $text | Should -Match "\n    $($_.Name) +\S" }
    }
}

Describe 'The manifest' {
    BeforeAll {
        $manifest = Import-PowerShellDataFile "$root/Ublk.psd1"
    }

    It 'exports the cmdlets the assembly has' {
        (Get-Command -Module Ublk).Name | Sort-Object | Should -Be ($manifest.CmdletsToExport | Sort-Object)
        [AppDomain]::CurrentDomain.GetAssemblies().Where({ $_.GetName().Name -eq 'Ublk.PowerShell' }).GetExportedTypes().Where(
            { $_.IsSubclassOf([Management.Automation.PSCmdlet]) -and -not $_.IsAbstract }).Count | Should -Be $manifest.CmdletsToExport.Count
    }

    It 'has the version of the assemblies' {
        [Ublk.UblkError].Assembly.GetName().Version.ToString(3) | Should -Be $manifest.ModuleVersion
    }
}
