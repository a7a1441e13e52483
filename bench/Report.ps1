# The figures as Markdown.

# A line for each disk and workload: medians, and how Ublk compares.
function Format-Throughput($Samples, [string] $Other) {
    "| disk | workload | Ublk IOPS | $Other IOPS | Ublk / $Other, pair by pair | ticks per 1000 I/Os: Ublk | $Other |"
    '|---|---|--:|--:|---|--:|--:|'
    $compared = @($Samples | Where-Object Contender -EQ $Other | ForEach-Object { "$($_.Disk) $($_.Workload)" } | Select-Object -Unique)
    foreach ($group in $Samples | Group-Object Disk, Workload) {
        $first = $group.Group[0]
        if ("$($first.Disk) $($first.Workload)" -notin $compared) { continue }
        $ours = $group.Group | Where-Object Contender -EQ 'Ublk'
        $theirs = $group.Group | Where-Object Contender -EQ $Other
        '| {0} | {1} | {2:F0} | {3:F0} | {4} | {5} | {6} |' -f $first.Disk, $first.Workload,
            (Get-Median $ours.Iops), (Get-Median $theirs.Iops), (Format-Ratio (Get-Ratio $group.Group 'Ublk' $Other)),
            (Format-Ticks $ours), (Format-Ticks $theirs)
    }
}

function Format-Ratio($Spread) {
    '**{0:F2}** ({1:F2}..{2:F2})' -f $Spread.Median, $Spread.Min, $Spread.Max
}

# The kernel's own driver has no process to count.
function Format-Ticks($Samples) {
    if ($null -eq $Samples[0].TicksPer1000) { '-' } else { '{0:F2}' -f (Get-Median $Samples.TicksPer1000) }
}

function Format-Memory($Samples) {
    '| server | before I/O, MB | after use, MB (greatest) |'
    '|---|--:|--:|'
    foreach ($group in $Samples | Where-Object MemoryBeforeKiB | Group-Object Contender, Disk) {
        '| {0} | {1:F1} | {2:F1} |' -f ($group.Name -replace ','),
            ((Get-Median $group.Group.MemoryBeforeKiB) / 1024), ((Get-Spread $group.Group.MemoryAfterKiB).Max / 1024)
    }
}

function Format-Attach($Samples) {
    '| null disk by | call to return, ms | worker start to live, ms | added by the launcher, ms |'
    '|---|--:|--:|--:|'
    foreach ($group in $Samples | Group-Object Contender) {
        $columns = foreach ($part in 'Total', 'StartToLive', 'Added') {
            $values = $group.Group.$part | Where-Object { $null -ne $_ }
            if ($values) {
                $spread = Get-Spread $values
                '{0:F0} ({1:F0}..{2:F0})' -f $spread.Median, $spread.Min, $spread.Max
            }
            else { '-' }
        }
        "| $($group.Name) | $($columns -join ' | ') |"
    }
}
