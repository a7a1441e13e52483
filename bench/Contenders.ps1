# Who can serve a disk. Attach is given the backing file and returns the path of the block device; Detach is given that.
# Each has one queue and goes through the page cache of the same file, so that they differ in nothing but themselves.

# ublksrv joins in where its program, ublk, is installed.
$hasUblksrv = [bool] (Get-Command ublk -CommandType Application -ErrorAction Ignore)

# Those who serve a disk of a kind, ours first.
function Get-Contender([ValidateSet('null', 'loop')] [string] $Disk) {
    if ($Disk -eq 'null') {
        New-Contender 'Ublk' { (New-UblkDevice Null).DevicePath } { Remove-UblkDevice (Get-UblkId $args[0]) }
        if ($hasUblksrv) {
            New-Contender 'ublksrv' { Add-UblksrvDisk -t null } { ublk del -n (Get-UblkId $args[0]) | Out-Null }
        }
    }
    else {
        New-Contender 'Ublk' { (New-UblkDevice Loop $args[0] -DirectIO:$false).DevicePath } { Remove-UblkDevice (Get-UblkId $args[0]) }
        New-Contender 'kernel loop' { losetup --find --show --direct-io=off $args[0] } { losetup --detach $args[0] }
        if ($hasUblksrv) {
            New-Contender 'ublksrv' { Add-UblksrvDisk -t loop -f $args[0] --buffered_io } { ublk del -n (Get-UblkId $args[0]) | Out-Null }
        }
    }
}

function New-Contender([string] $Name, [scriptblock] $Attach, [scriptblock] $Detach) {
    [pscustomobject]@{ Name = $Name; Attach = $Attach; Detach = $Detach }
}

function Add-UblksrvDisk {
    $answer = ublk add @args -q 1 -d 128 | Out-String
    if ($answer -notmatch 'dev id (\d+)') { throw "ublk add: $answer" }
    "/dev/ublkb$($Matches[1])"
}

function Get-UblkId([string] $Path) {
    [int] ($Path -replace '^/dev/ublkb')
}

# The process that serves a disk; none for the kernel's own.
function Get-ServerProcess([string] $Path) {
    if ($Path -like '/dev/ublkb*') { (Get-UblkDevice (Get-UblkId $Path)).ProcessId }
}
