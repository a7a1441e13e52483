# The figures as Markdown.

# A line for each disk and workload, a column for each contender.
function Format-Matrix($Summary, [string[]] $Contenders, [scriptblock] $Heading, [scriptblock] $Cell) {
    "| disk | workload | $(@($Contenders | ForEach-Object $Heading) -join ' | ') |"
    "|---|---|$('--:|' * $Contenders.Count)"
    foreach ($row in $Summary | Select-Object Disk, Workload -Unique) {
        $cells = foreach ($name in $Contenders) {
            $one = $Summary | Where-Object { $_.Disk -eq $row.Disk -and $_.Workload -eq $row.Workload -and $_.Contender -eq $name }
            if ($one) { $one | ForEach-Object $Cell } else { '' }
        }
        "| $($row.Disk) | $($row.Workload) | $($cells -join ' | ') |"
    }
}

function Format-Throughput($Summary) {
    Format-Matrix $Summary (Get-Name $Summary) { $_ -eq 'Ublk' ? 'Ublk, IOPS' : "Ublk / $_" } {
        $_.Ratio ? ('**{0:F2}** ({1:F2}..{2:F2})' -f $_.Ratio.Median, $_.Ratio.Min, $_.Ratio.Max) : ('{0:F0}' -f $_.Iops.Median)
    }
}

function Format-Cpu($Summary) {
    Format-Matrix $Summary (Get-Name $Summary) { $_ } { '{0:F0} + {1:F0}' -f $_.ServerMicros.Median, $_.ClientMicros.Median }
}

function Format-Latency($Summary) {
    Format-Matrix $Summary (Get-Name $Summary) { $_ } { '{0:F0} / {1:F0} / {2:F0}' -f $_.P50Micros, $_.P99Micros, $_.P999Micros }
}

# The contenders that took part, always in the same order.
function Get-Name($Summary) {
    'Ublk', 'Ublk Copy', 'Ublk raw', 'kernel', 'qemu-nbd', 'ublksrv', 'kublk', 'rbd-nbd' | Where-Object { $_ -in $Summary.Contender }
}

function Format-Memory($Samples, $Attached) {
    '| server | after attaching, MB | under I/O, MB (greatest) |'
    '|---|--:|--:|'
    foreach ($one in $Attached) {
        $used = ($Samples | Where-Object { $_.Contender -eq $one.Contender -and $_.Disk -eq $one.Disk }).MemoryKiB
        '| {0}, {1} | {2:F1} | {3:F1} |' -f $one.Contender, $one.Disk, ($one.MemoryKiB / 1024), ((Get-Spread $used).Max / 1024)
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

# The whole, for a README beside the folder plots.
function Format-Report($Results) {
    $about = $Results.about
    "Kernel $($about.kernel), $($about.cpus) CPUs, $($about.rounds) rounds of $($about.seconds) s: medians, in parentheses the least and greatest of the rounds."
    if ($about.clock -eq 'instructions') { 'The clock counts instructions, a nanosecond each.' }
    "Machine: $(($about.machine | ForEach-Object { "$($_.Check) $($_.Value)$($_.Ready ? '' : ' (not ready)')" }) -join ', ')."
    foreach ($sentence in $about.skipped) { "Left out: $sentence." }
    ''
    '![Throughput of Ublk over that of each other contender](plots/throughput.svg)'
    ''
    Format-Throughput $Results.summary
    ''
    'CPU time per I/O in microseconds, of the server (its process and the kernel''s threads) + of the client:'
    ''
    Format-Cpu $Results.summary
    ''
    '![CPU time per I/O](plots/cpu.svg)'
    ''
    'Latency in microseconds, p50 / p99 / p99.9:'
    ''
    Format-Latency $Results.summary
    ''
    '![Latency](plots/latency.svg)'
    ''
    Format-Memory $Results.throughput $Results.memory
    ''
    Format-Attach $Results.attach
}
