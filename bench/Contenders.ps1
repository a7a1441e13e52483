# Who can serve a disk. Attach is given the disk and the backing file of a loop, and returns what Detach is given: the path of the
# block device. All differ in nothing but themselves: as many queues, the same way to the file.

# Those who serve a disk of a kind and are installed here, ours first.
function Get-Contender($Disk) {
    if ($Disk.Kind -eq 'nbd') {
        # Both are clients of one server.
        New-Contender 'Ublk' { Add-UblkNbd @args } { Remove-Ublk @args; Stop-NbdServer }
        if (Test-Program nbd-client) {
            New-Contender 'kernel' { Add-NbdClient @args } { nbd-client -d $args[0].Path | Out-Null; Stop-NbdServer }
        }
        return
    }
    if ($Disk.Kind -eq 'rbd') {
        # Both are clients of one cluster, each with an image.
        New-Contender 'Ublk' { Add-UblkRbd @args } { Remove-Ublk @args }
        if (Test-Program rbd-nbd) {
            New-Contender 'rbd-nbd' { Add-RbdNbd @args } { rbd-nbd unmap $args[0].Path }
        }
        return
    }
    New-Contender 'Ublk' { Add-Ublk @args } { Remove-Ublk @args }
    if ($Disk.Kind -eq 'loop') {
        New-Contender 'Ublk Copy' { Add-Ublk @args -BufferMode Copy } { Remove-Ublk @args }
        New-Contender 'kernel' { Add-KernelLoop @args } { losetup --detach $args[0].Path }
        if (Test-Program qemu-nbd, nbd-client) {
            New-Contender 'qemu-nbd' { Add-QemuNbd @args } { nbd-client -d $args[0].Path | Out-Null }
        }
    }
    elseif ($Disk.Kind -eq 'qcow2') {
        # The same data without the format, to tell what the format costs.
        New-Contender 'Ublk raw' { Add-Ublk @args -Target Loop } { Remove-Ublk @args } -Format raw
        if (Test-Program qemu-nbd, nbd-client) {
            New-Contender 'qemu-nbd' { Add-QemuNbd @args } { nbd-client -d $args[0].Path | Out-Null }
        }
        return
    }
    else {
        New-Contender 'kernel' { Add-NullBlk @args } { modprobe --remove null_blk }
    }
    if (Test-Program ublk) {
        New-Contender 'ublksrv' { Add-Ublksrv @args } { ublk del -n (Get-UblkId $args[0].Path) | Out-Null }
    }

    # It always passes by the page cache.
    if ((Test-Program kublk) -and ($Disk.Kind -eq 'null' -or $Disk.Direct)) {
        New-Contender 'kublk' { Add-Kublk @args } { kublk del -n (Get-UblkId $args[0].Path) | Out-Null }
    }
}

# Contenders whose programs are not here.
function Get-MissingContender {
    $programs = [ordered]@{ 'qemu-nbd' = 'qemu-nbd', 'nbd-client'; 'ublksrv' = @('ublk'); 'kublk' = @('kublk'); 'rbd-nbd' = @('rbd-nbd') }
    foreach ($name in $programs.Keys) {
        if (-not (Test-Program $programs[$name])) { "$name is not installed ($($programs[$name] -join ', '))" }
    }
}

function Test-Program([string[]] $Name) {
    @(Get-Command $Name -CommandType Application -ErrorAction Ignore | Select-Object -Unique Name).Count -eq $Name.Count
}

# Its file is of the disk's kind, unless Format says otherwise.
function New-Contender([string] $Name, [scriptblock] $Attach, [scriptblock] $Detach, [string] $Format) {
    [pscustomobject]@{ Name = $Name; Attach = $Attach; Detach = $Detach; Format = $Format }
}

function New-Served([string] $Path, $ProcessId) {
    [pscustomobject]@{ Path = $Path; ProcessId = $ProcessId }
}

# The process that serves a disk; none for the kernel's own.
function Get-ServerProcess($Served) {
    if ($Served.Path -like '/dev/ublkb*') { (Get-UblkDevice (Get-UblkId $Served.Path)).ProcessId } else { $Served.ProcessId }
}

function Add-Ublk($Disk, [string] $File, [string] $BufferMode = 'Auto', [string] $Target = $Disk.Kind) {
    $options = if ($File) { @{ Target = $Target; Path = $File; DirectIO = $Disk.Direct } } else { @{ Target = $Target } }
    $device = New-UblkDevice @options -QueueCount $Disk.Queues -BufferMode $BufferMode
    New-Served $device.DevicePath
}

function Remove-Ublk($Served) {
    Remove-UblkDevice (Get-UblkId $Served.Path)
}

# The kernel's loop driver has one queue, whatever is asked.
function Add-KernelLoop($Disk, [string] $File) {
    New-Served (losetup --find --show --direct-io=$($Disk.Direct ? 'on' : 'off') $File)
}

function Add-NullBlk($Disk) {
    modprobe null_blk nr_devices=1 gb=250 hw_queue_depth=128 submit_queues=$($Disk.Queues)
    New-Served '/dev/nullb0'
}

# A server of memory, for the clients that are attached.
$nbdSocket = "/run/ublk-bench-$PID.socket"

function Start-NbdServer {
    if (-not (Test-Path $nbdSocket)) { nbdkit --unix $nbdSocket --pidfile "$nbdSocket.pid" memory 128M }
}

# Each client calls it when it ends; a server that has ended already is fine.
function Stop-NbdServer {
    if (Test-Path "$nbdSocket.pid") {
        Stop-Process (Get-Content "$nbdSocket.pid")
        Remove-Item $nbdSocket, "$nbdSocket.pid" -ErrorAction Ignore
    }
}

function Add-UblkNbd($Disk) {
    Start-NbdServer
    New-Served (New-UblkDevice -Target Nbd -Uri "nbd+unix:///?socket=$nbdSocket" -QueueCount $Disk.Queues).DevicePath
}

function Add-NbdClient($Disk) {
    Start-NbdServer
    $path = Get-FreeNbdPath
    nbd-client -unix $nbdSocket $path -connections $Disk.Queues -block-size 512 | Out-Null
    New-Served $path
}

function Add-UblkRbd($Disk) {
    New-Image ublk
    New-Served (New-UblkDevice -Target Rbd -Spec rbd/ublk -ConfigPath "$($Disk.Directory)/ceph.conf").DevicePath
}

# It takes the lock of the image as Ublk does.
function Add-RbdNbd($Disk) {
    New-Image nbd
    modprobe nbd
    $path = rbd-nbd --conf "$($Disk.Directory)/ceph.conf" map --exclusive rbd/nbd
    New-Served $path (rbd-nbd list-mapped --format json | ConvertFrom-Json | Where-Object device -EQ $path).id
}

function Get-FreeNbdPath {
    modprobe nbd
    Get-ChildItem /sys/block/nbd* | Where-Object { -not (Test-Path "$_/pid") } | Select-Object -First 1 | ForEach-Object { "/dev/$($_.Name)" }
}

function Add-QemuNbd($Disk, [string] $File) {
    $path = Get-FreeNbdPath
    $cache = $Disk.Direct ? 'none' : 'writeback'
    qemu-nbd --fork --pid-file="$File.pid" --socket="$File.socket" --shared=$($Disk.Queues) --format=$($Disk.Kind -eq 'qcow2' ? 'qcow2' : 'raw') `
        --cache=$cache --aio=io_uring --discard=unmap $File
    $server = [int] (Get-Content "$File.pid")
    try { nbd-client -unix "$File.socket" $path -connections $Disk.Queues -block-size 512 | Out-Null }
    catch {
        Stop-Process $server
        throw
    }
    New-Served $path $server
}

function Add-Ublksrv($Disk, [string] $File) {
    $target = if ($File) { '-t', 'loop', '-f', $File } else { '-t', 'null' }
    if ($File -and -not $Disk.Direct) { $target += '--buffered_io' }
    New-OtherUblk (ublk add @target -q $Disk.Queues -d 128 | Out-String)
}

function Add-Kublk($Disk, [string] $File) {
    $target = if ($File) { '-t', 'loop', $File } else { '-t', 'null' }
    New-OtherUblk (kublk add -q $Disk.Queues -d 128 @target | Out-String)
}

# What another server answers to its add command.
function New-OtherUblk([string] $Answer) {
    if ($Answer -notmatch 'dev id (\d+)') { throw "There is no device's id in the answer: $Answer" }
    New-Served "/dev/ublkb$($Matches[1])"
}

function Get-UblkId([string] $Path) {
    [int] ($Path -replace '^/dev/ublkb')
}
