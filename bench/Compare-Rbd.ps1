#Requires -Version 7.6
<#
.SYNOPSIS
Compares the Rbd target with fio's rbd engine, on this machine and without the driver.
.DESCRIPTION
Starts a Ceph cluster of one monitor and one OSD, which keeps objects in memory (tests/ceph.sh). The program of
bench/Client serves an image from the target, with the queue's own loop and a simulated driver; fio accesses the same image.
They are measured in turn, in pairs of alternating order. Neither uses the cache of librbd. All run at real-time
priority, so that a machine that is not idle matters less.
Needs fio and the packages ceph-mon, ceph-osd and ceph-common.
.PARAMETER Program
The program, compiled ahead of time.
.PARAMETER Directory
A new folder for the cluster.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Program,
    [string] $Directory = (Join-Path ([IO.Path]::GetTempPath()) "ublk-bench-$PID"),
    [ValidateRange(1, 100)] [int] $Rounds = 7,
    [double] $Seconds = 1
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
. $PSScriptRoot/Statistics.ps1
. $PSScriptRoot/Cluster.ps1

function Measure-Target([string] $Operation, [int] $Depth) {
    [double] (chrt --rr 1 $Program Rbd $Operation $Depth $Seconds Spec=rbd/disk ConfigPath=$cluster/ceph.conf)
}

function Measure-Fio([string] $Operation, [int] $Depth) {
    # Its engine has no option for the configuration file.
    $json = chrt --rr 1 env "CEPH_CONF=$cluster/ceph.conf" fio --name=disk --ioengine=rbd --clientname=admin --pool=rbd --rbdname=disk `
        "--rw=rand$Operation" --bs=4k "--iodepth=$Depth" --norandommap --randrepeat=0 --disable_lat=1 --disable_slat=1 `
        --time_based "--runtime=$([int] ($Seconds * 1000))ms" --ramp_time=250ms --output-format=json
    ($json | ConvertFrom-Json).jobs[0].$Operation.iops
}

try {
    $cluster = Start-Cluster $Directory
    Get-Content $cluster/*.pid | ForEach-Object { chrt --all-tasks --rr --pid 1 $_ }
    New-Image disk
    foreach ($operation in 'read', 'write') {
        foreach ($depth in 1, 32) {
            $samples = foreach ($round in 1..$Rounds) {
                foreach ($name in $round % 2 ? ('Ublk', 'fio') : ('fio', 'Ublk')) {
                    $iops = $name -eq 'Ublk' ? (Measure-Target $operation $depth) : (Measure-Fio $operation $depth)
                    [pscustomobject]@{ Contender = $name; Round = $round; Iops = $iops }
                }
            }
            $ratio = Get-Ratio $samples 'Ublk' 'fio'
            [pscustomobject]@{
                Workload = "rand$operation-4k-depth$depth"
                Ublk     = '{0:F0}' -f (Get-Median ($samples | Where-Object Contender -EQ Ublk).Iops)
                fio      = '{0:F0}' -f (Get-Median ($samples | Where-Object Contender -EQ fio).Iops)
                Ratio    = '{0:F2} ({1:F2}..{2:F2})' -f $ratio.Median, $ratio.Min, $ratio.Max
            }
        }
    }
}
finally {
    Stop-Cluster
}
