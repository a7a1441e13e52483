# The contenders of one disk, all attached at the same time and each with a file of its own.

# Those that could be attached; why one of the others could not is added to Skipped. Ublk must.
function Connect-Contender($Disk, [Collections.Generic.List[string]] $Skipped) {
    foreach ($contender in Get-Contender $Disk) {
        $file = $null
        if ($Disk.Kind -eq 'loop') {
            # Every block is there: holes would be cheaper to read than data.
            $file = Join-Path $Disk.Directory "$($contender.Name -replace ' ', '-').img"
            dd if=/dev/zero of=$file bs=1M count=256 conv=fsync status=none
        }
        try {
            $served = & $contender.Attach $Disk $file
        }
        catch {
            if ($contender.Name -eq 'Ublk') { throw }
            $Skipped.Add("$($contender.Name) could not serve $($Disk.Name): $_")
            continue
        }
        $memory = if ($served.ProcessId) { Get-ResidentMemory $served.ProcessId }
        $contender | Select-Object *, @{ n = 'Served'; e = { $served } }, @{ n = 'File'; e = { $file } }, @{ n = 'MemoryKiB'; e = { $memory } }
    }
}

function Disconnect-Contender($Contenders) {
    foreach ($contender in $Contenders) { & $contender.Detach $contender.Served }
}

# A folder on a new ext4 in memory: there may be no disk to spare.
function Mount-Ext4([string] $Directory) {
    modprobe brd rd_nr=1 rd_size=$(2GB / 1KB)
    mkfs.ext4 -q -F /dev/ram0
    $null = New-Item -ItemType Directory -Force $Directory
    mount /dev/ram0 $Directory
}

function Dismount-Ext4([string] $Directory) {
    umount $Directory
    Remove-Item $Directory
    modprobe --remove brd
}
