# Medians and spreads. One figure of a noisy machine says nothing; the ratio of two taken one right after the other does.

function Get-Median([double[]] $Values) {
    $sorted = @($Values | Sort-Object)
    $middle = [Math]::Floor($sorted.Count / 2)
    if ($sorted.Count % 2) { $sorted[$middle] } else { ($sorted[$middle - 1] + $sorted[$middle]) / 2 }
}

# Median, least and greatest.
function Get-Spread([double[]] $Values) {
    [pscustomobject]@{
        Median = Get-Median $Values
        Min    = ($Values | Measure-Object -Minimum).Minimum
        Max    = ($Values | Measure-Object -Maximum).Maximum
    }
}

# The samples of one contender over those of another, round by round.
function Get-Ratio($Samples, [string] $Contender, [string] $Other) {
    $ratios = foreach ($sample in $Samples | Where-Object Contender -EQ $Contender) {
        $sample.Iops / ($Samples | Where-Object { $_.Contender -eq $Other -and $_.Round -eq $sample.Round }).Iops
    }
    Get-Spread $ratios
}
