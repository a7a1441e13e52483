# What the kernel counts: processes in proc(5), disks in sysfs.

# CPU time of a process, its threads and the children it has waited for, in clock ticks (10 ms).
function Get-CpuTick([int] $ProcessId) {
    $sum = 0
    foreach ($ticks in (Get-ProcessStat $ProcessId)[11..14]) { $sum += [long] $ticks }
    $sum
}

# CPU time of everything on this machine: user, nice, system, and the two kinds of interrupts.
function Get-MachineTick {
    $fields = (Get-Content /proc/stat -TotalCount 1) -split '\s+'
    $sum = 0
    foreach ($ticks in $fields[1, 2, 3, 6, 7]) { $sum += [long] $ticks }
    $sum
}

# When a process started, in seconds since boot.
function Get-ProcessStart([int] $ProcessId) {
    [double] (Get-ProcessStat $ProcessId)[19] / 100
}

# The fields of /proc/PID/stat from the third on: the second, the name, may hold spaces.
function Get-ProcessStat([int] $ProcessId) {
    $text = Get-Content -Raw "/proc/$ProcessId/stat"
    $text.Substring($text.LastIndexOf(')') + 2).Split(' ')
}

# Resident memory in KiB.
function Get-ResidentMemory([int] $ProcessId) {
    [int] ((Get-Content "/proc/$ProcessId/status") -match '^VmRSS:' -replace '\D')[0]
}

# Bytes a disk has read and written.
function Get-TransferredByte([string] $Path) {
    $fields = (Get-Content "/sys/block/$(Split-Path -Leaf $Path)/stat").Trim() -split '\s+'
    ([long] $fields[2] + [long] $fields[6]) * 512
}

# Seconds since boot.
function Get-KernelUptime {
    [double] (Get-Content /proc/uptime).Split(' ')[0]
}

# When a device node was made, in seconds since boot.
function Get-NodeTime([string] $Path) {
    (Get-KernelUptime) - ([DateTime]::UtcNow - [IO.File]::GetLastWriteTimeUtc($Path)).TotalSeconds
}
