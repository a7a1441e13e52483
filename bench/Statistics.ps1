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

# A row and contender in one object: spreads over the rounds, and how Ublk compares.
function Get-Summary($Samples) {
    foreach ($row in $Samples | Group-Object Disk, Workload) {
        foreach ($group in $row.Group | Group-Object Contender) {
            $mine = $group.Group
            [pscustomobject]@{
                Disk         = $mine[0].Disk
                Workload     = $mine[0].Workload
                Contender    = $group.Name
                Iops         = Get-Spread $mine.Iops
                Ratio        = if ($group.Name -ne 'Ublk') { Get-Ratio $row.Group 'Ublk' $group.Name }
                ServerMicros = Get-Spread $mine.ServerMicros
                ClientMicros = Get-Spread $mine.ClientMicros
                P50Micros    = Get-Median $mine.P50Micros
                P99Micros    = Get-Median $mine.P99Micros
                P999Micros   = Get-Median $mine.P999Micros
            }
        }
    }
}
