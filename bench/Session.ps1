# The contenders of one disk, all attached at the same time and each with a file of its own.

# Those that could be attached; why one of the others could not is added to Skipped. Ublk must.
function Connect-Contender($Disk, [Collections.Generic.List[string]] $Skipped) {
    foreach ($contender in Get-Contender $Disk) {
        $file = $null
        if ($Disk.Kind -notin 'null', 'nbd', 'rbd') {
            $file = Join-Path $Disk.Directory "$($contender.Name -replace ' ', '-').img"
            New-DiskFile $file ($contender.Format ? 'raw' : $Disk.Kind -eq 'qcow2' ? $Disk.Fill : 'raw')
        }
        try {
            $served = & $contender.Attach $Disk $file
        }
        catch {
            if ($contender.Name -eq 'Ublk') { throw }
            if ($file) { Remove-Item "$file*" }
            $Skipped.Add("$($contender.Name) could not serve $($Disk.Name): $_")
            continue
        }
        $server = Get-ServerProcess $served
        $contender | Select-Object *, @{ n = 'Served'; e = { $served } }, @{ n = 'File'; e = { $file } }, @{ n = 'Server'; e = { $server } }
    }
}

# Every block of a raw file is there: holes would be cheaper to read than data.
function New-DiskFile([string] $File, [string] $Fill) {
    switch ($Fill) {
        'raw' { dd if=/dev/zero of=$File bs=1M count=128 conv=fsync status=none }
        'full' { qemu-img create -q -f qcow2 -o preallocation=full $File 128M }
        'fresh' { qemu-img create -q -f qcow2 $File 128M }
        'backing' {
            New-DiskFile "$File.base" raw
            qemu-img create -q -f qcow2 -F raw -b "$File.base" $File
        }
        'compressed' {
            bash -c 'yes 0123456789 | head -c 128M > "$0.base"' $File
            qemu-img convert -c -f raw -O qcow2 "$File.base" $File
        }
    }
}

function Disconnect-Contender($Contenders) {
    foreach ($contender in $Contenders) {
        & $contender.Detach $contender.Served
        if ($contender.File) { Remove-Item "$($contender.File)*" }
    }
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
