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
    foreach ($row in $Samples | Select-Object Disk, Workload -Unique) {
        $here = $Samples | Where-Object { $_.Disk -eq $row.Disk -and $_.Workload -eq $row.Workload }
        foreach ($name in $here.Contender | Select-Object -Unique) {
            $mine = $here | Where-Object Contender -EQ $name
            [pscustomobject]@{
                Disk         = $row.Disk
                Workload     = $row.Workload
                Contender    = $name
                Iops         = Get-Spread $mine.Iops
                Ratio        = if ($name -ne 'Ublk') { Get-Ratio $here 'Ublk' $name } else { $null }
                CpuMicros    = Get-Spread @($mine | ForEach-Object { $_.ServerMicros + $_.ClientMicros })
                ServerMicros = Get-Spread $mine.ServerMicros
                ClientMicros = Get-Spread $mine.ClientMicros
                P50Micros    = Get-Median $mine.P50Micros
                P99Micros    = Get-Median $mine.P99Micros
                P999Micros   = Get-Median $mine.P999Micros
            }
        }
    }
}
