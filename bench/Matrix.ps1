# What can be measured: every disk with every workload of workloads.fio.

$disks = 'null', 'null-2q', 'loop-tmpfs', 'loop-tmpfs-2q', 'loop-ext4', 'loop-ext4-2q', 'loop-ext4-direct', 'loop-ext4-direct-2q',
    'qcow2-tmpfs', 'qcow2-tmpfs-2q', 'qcow2-fresh-tmpfs', 'qcow2-backing-tmpfs', 'qcow2-compressed-tmpfs', 'qcow2-ext4-direct', 'qcow2-fresh-ext4-direct', 'nbd-memory', 'nbd-memory-2q', 'rbd'
$workloads = (Get-Content "$PSScriptRoot/workloads.fio") -match '^\[' -replace '[][]' -ne 'global'

# The rows that tell most in a quarter of an hour.
$standardRows = [ordered]@{
    'null'             = 'randread-4k-depth1', 'randread-4k-depth64'
    'null-2q'          = @('randread-4k-depth64')
    'loop-tmpfs'       = 'randread-4k-depth64', 'randwrite-4k-depth64', 'write-512k'
    'loop-ext4'        = 'randwrite-4k-depth16', 'read-512k'
    'loop-ext4-direct' = 'randread-4k-depth1', 'randwrite-4k-depth64', 'read-1m'
    'qcow2-tmpfs'      = 'randread-4k-depth64', 'randwrite-4k-depth64'
    'qcow2-fresh-tmpfs' = @('write-512k')
    'nbd-memory'       = 'randread-4k-depth1', 'randread-4k-depth64', 'read-512k', 'write-512k'
}

# One of each kind.
$quickRows = [ordered]@{
    'null'             = @('randread-4k-depth64')
    'loop-tmpfs'       = @('randwrite-4k-depth64')
    'loop-ext4-direct' = @('write-512k')
}

# The rows of the whole matrix that match wildcards.
function Select-Row([string] $Disk, [string] $Workload) {
    $rows = [ordered]@{}
    foreach ($name in $disks -like $Disk) { $rows[$name] = @($workloads -like $Workload) }
    if (-not ($rows.Values | ForEach-Object { $_ })) {
        throw "No disk is like '$Disk', or no workload like '$Workload'. Disks: $($disks -join ', '). Workloads: $($workloads -join ', ')."
    }
    $rows
}

# What a disk's name says. Each contender gets a file of its own in Directory.
function New-Disk([string] $Name, [string] $Directory) {
    [pscustomobject]@{
        Name      = $Name
        Kind      = $Name -replace '-.*'
        Queues    = $Name -like '*-2q' ? 2 : 1
        Direct    = $Name -like '*-direct*'
        # What a qcow2 image has at the start: every cluster, none, those of its backing file, or all compressed.
        Fill      = $Name -match '-(fresh|backing|compressed)' ? $Matches[1] : 'full'
        Directory = $Directory
    }
}
