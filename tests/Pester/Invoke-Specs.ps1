<#
.SYNOPSIS
Runs specs, and leaves their counts, failures and slowest tests as specs.json in $UBLK_RESULTS.
.DESCRIPTION
Exits with 1 if a test failed or none ran. Pester is in out/pester, where ./build.sh Test copies it.
#>
param(
    [string[]] $Path = $PSScriptRoot,
    [string[]] $TagFilter,
    [string[]] $ExcludeTagFilter,
    [string[]] $FullNameFilter,

    # Which Pester: that of today, or the next one.
    [ValidateSet('current', 'next')]
    [string] $Pester = 'current'
)

# Pester runs through a file to find its tests. That takes long under emulation, so files without a tag that is wanted are left out.
if ($TagFilter) {
    $Path = Get-ChildItem $Path -Recurse -Filter *.Tests.ps1 |
        Where-Object { $_ | Select-String "-Tag.*\b($($TagFilter -join '|'))\b" -Quiet } | ForEach-Object FullName
}
$null = $PSBoundParameters.Remove('Pester')
$PSBoundParameters.Path = $Path
Import-Module (Join-Path $PSScriptRoot "../../out/pester/$Pester/Pester.psd1")
$run = Invoke-Pester @PSBoundParameters -PassThru -Output Detailed

# A setup or teardown that failed is one failure. The tests that did not run for it are no failures of their own.
$failures = @(
    $run.FailedContainers | ForEach-Object { "$($_.Item): $($_.ErrorRecord[0])" }
    $run.FailedBlocks | ForEach-Object { "$($_.ExpandedPath), setup or teardown: $($_.ErrorRecord[0])" }
    $run.Failed | Where-Object Executed | ForEach-Object { "$($_.ExpandedPath): $($_.ErrorRecord[0])" }
) -replace '(?s)\n.*'

if ($env:UBLK_RESULTS) {
    @{
        passed   = $run.PassedCount
        failed   = $failures.Count
        skipped  = $run.SkippedCount
        failures = $failures
        slowest  = @($run.Tests | Sort-Object Duration -Descending | Select-Object -First 10 |
                ForEach-Object { @{ name = $_.ExpandedPath; seconds = $_.Duration.TotalSeconds } })
    } | ConvertTo-Json | Set-Content (Join-Path $env:UBLK_RESULTS 'specs.json')
}
exit [int] ($failures.Count -gt 0 -or $run.PassedCount -eq 0)
