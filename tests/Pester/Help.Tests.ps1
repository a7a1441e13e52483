# The help and the manifest say what the module has, no less and no more. That the pages of docs/help are complete and true is looked at
# when they are built (tests/Unit/Help); here, that PowerShell shows them.

BeforeDiscovery {
    $commands = (Import-PowerShellDataFile "$PSScriptRoot/../../Ublk.psd1").CmdletsToExport
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
}

Describe 'The help of <_>' -ForEach $commands {
    It 'has a synopsis, a description, parameters and examples' {
        $help = Get-Help $_
        $help.Synopsis | Should -Not -BeNullOrEmpty
        $help.description.Text | Should -Not -BeNullOrEmpty
        @($help.examples.example).Count | Should -BeGreaterOrEqual 3
        @($help.syntax.syntaxItem).Count | Should -Be (Get-Command $_).ParameterSets.Count
        $parameters = (Get-Command $_).Parameters.Keys | Where-Object { $_ -notin [Management.Automation.PSCmdlet]::CommonParameters }
        $parameters | ForEach-Object { $help.parameters.parameter.name | Should -Contain $_ }
    }
}

Describe 'about_Ublk' {
    It 'lists the errors and the targets' {
        $text = Get-Content -Raw "$modulePath/en-US/about_Ublk.help.txt"
        [Enum]::GetNames([Ublk.UblkError]) | ForEach-Object { $text | Should -Match "\n    $_ +\S" }
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
