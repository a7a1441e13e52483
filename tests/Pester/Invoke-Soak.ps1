<#
.SYNOPSIS
Repeats the specs under fire, harder and each time with another seed, until the time is up or one fails.
.DESCRIPTION
What failed is repeated by its file and the seed it printed:
UBLK_SOAK=1 UBLK_SEED=... tests/Pester/Invoke-Specs.ps1 -Path tests/Pester/Killed.Tests.ps1
#>
param(
    [int] $Minutes = 60,
    [int] $Seed = (Get-Random),
    [string[]] $Path = @('Killed', 'Load', 'Crowd', 'Scarcity', 'Rbd')
)

Import-Module $PSScriptRoot/../../out/pester/current/Pester.psd1
$env:UBLK_SOAK = 1
$seeds = [Random]::new($Seed)
$end = [DateTime]::UtcNow.AddMinutes($Minutes)
$passed = $turn = 0
do {
    $env:UBLK_SEED = $seeds.Next()
    $file = Join-Path $PSScriptRoot "$($Path[$turn % $Path.Count]).Tests.ps1"
    $run = Invoke-Pester -Path $file -TagFilter Fire -PassThru -Output Detailed
    $passed += $run.PassedCount
    if ($run.FailedCount + $run.FailedBlocksCount + $run.FailedContainersCount -gt 0 -or $run.PassedCount -eq 0) {
        Write-Host "Failed after $passed specs: $file with UBLK_SEED=$env:UBLK_SEED"
        exit 1
    }
    $turn++
} while ([DateTime]::UtcNow -lt $end)
Write-Host "$passed specs passed in $turn turns of seed $Seed"
