# The help's examples that need no driver. tests/Pester/Documentation.Tests.ps1 has the others.

BeforeDiscovery {
    . $PSScriptRoot/../Pester/Documented.ps1
    $examples = Read-Example | Where-Object { -not $_.NeedsDriver }
}

BeforeAll {
    . $PSScriptRoot/../Pester/Common.ps1
    . $PSScriptRoot/../Pester/Documented.ps1
    New-DocumentedFile $TestDrive/files
}

Describe 'An example of the help' {
    BeforeEach {
        Copy-DocumentedFile $TestDrive/files $TestDrive/example $Code
        Push-Location $TestDrive/example
        if ($Page -match '(Get|Remove)-UblkExport') {
            $null = New-UblkExport data.img
        }
    }

    AfterEach {
        Get-UblkExport | Remove-UblkExport -Force
        Pop-Location
        Remove-Item $TestDrive/example -Recurse -Force
    }

    It 'does what <Page> says: <Code>' -ForEach $examples {
        . Invoke-Code $Code
    }
}
