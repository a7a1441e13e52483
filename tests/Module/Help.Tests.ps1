# The help and the manifest say what the module has, no less and no more. That the pages of docs/help are complete and true is looked at
# when they are built (tests/Unit/Help); here, that PowerShell shows them.

BeforeDiscovery {
    $commands = (Import-PowerShellDataFile "$PSScriptRoot/../../Ublk.psd1").CmdletsToExport
}

BeforeAll {
    $root = Split-Path (Split-Path $PSScriptRoot)
    $modulePath = Join-Path $root 'out' 'Ublk'
    Import-Module $modulePath
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

Describe 'The topics' {
    It 'lists the targets' {
        $text = Get-Content -Raw "$modulePath/en-US/about_Ublk_Targets.help.txt"
        (Get-UblkTarget).Name | ForEach-Object { $text | Should -Match "\n    $_ +\S" }
    }
}
