# What the kernel counts: processes in proc(5), disks in sysfs.

# CPU time of a process and all its threads so far, in clock ticks (10 ms).
function Get-CpuTicks([int] $ProcessId) {
    $fields = Get-ProcessStat $ProcessId
    [long] $fields[11] + [long] $fields[12]
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

# Requests a disk has completed, reads and writes.
function Get-RequestCount([string] $Path) {
    $fields = (Get-Content "/sys/block/$(Split-Path -Leaf $Path)/stat").Trim() -split '\s+'
    [long] $fields[0] + [long] $fields[4]
}

# Seconds since boot.
function Get-Uptime {
    [double] (Get-Content /proc/uptime).Split(' ')[0]
}

# When a device node was made, in seconds since boot.
function Get-NodeTime([string] $Path) {
    (Get-Uptime) - ([DateTime]::UtcNow - [IO.File]::GetLastWriteTimeUtc($Path)).TotalSeconds
}
