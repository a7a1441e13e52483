# A Ceph cluster for disks of the Rbd target, and the images in it.

# Starts a cluster in a new folder, which is returned. Its clients have no cache: whether that holds writes depends on earlier flushes.
function Start-Cluster([string] $Directory) {
    $null = New-Item -ItemType Directory $Directory
    $script:clusterDirectory = Convert-Path -LiteralPath $Directory
    & "$PSScriptRoot/../tests/ceph.sh" $clusterDirectory 6789 *> "$clusterDirectory/start.log"
    Add-Content "$clusterDirectory/ceph.conf" "[client]`nrbd cache = false"
    $clusterDirectory
}

# Ends the cluster and deletes it.
function Stop-Cluster {
    if ($script:clusterDirectory) {
        # One that did not start has no file.
        Get-Content "$clusterDirectory/osd.0.pid", "$clusterDirectory/mon.a.pid" -ErrorAction Ignore | ForEach-Object { Stop-Process $_ -Force }
        Remove-Item $clusterDirectory -Recurse
        $script:clusterDirectory = $null
    }
}

# An image of 128 MiB. rbd import leaves zeroes out.
function New-Image([string] $Name) {
    dd if=/dev/urandom bs=1M count=128 iflag=fullblock status=none | rbd --conf "$clusterDirectory/ceph.conf" import --no-progress - rbd/$Name
}
