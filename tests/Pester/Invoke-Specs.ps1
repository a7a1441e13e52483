<#
.SYNOPSIS
Runs specs, and leaves their counts as specs.json in $UBLK_RESULTS.
.DESCRIPTION
Exits with 1 if a test failed or none ran. `./build.sh Test` copies Pester to out/pester.
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

$null = $PSBoundParameters.Remove('Pester')
$PSBoundParameters.Path = $Path
Import-Module (Join-Path $PSScriptRoot "../../out/pester/$Pester/Pester.psd1")
$run = Invoke-Pester @PSBoundParameters -PassThru -Output Detailed

# A setup that failed counts even where no test was there to fail with it.
$failed = [Math]::Max($run.FailedCount, $run.FailedBlocksCount) + $run.FailedContainersCount
if ($env:UBLK_RESULTS) {
    @{
        passed   = $run.PassedCount
        failed   = $failed
        skipped  = $run.SkippedCount
        failures = @($run.Tests | Where-Object Result -EQ Failed | ForEach-Object { "$($_.ExpandedPath): $($_.ErrorRecord)" })
        seconds  = $run.Duration.TotalSeconds
    } | ConvertTo-Json | Set-Content (Join-Path $env:UBLK_RESULTS 'specs.json')
}
exit [int] ($failed -gt 0 -or $run.PassedCount -eq 0)
