# The command ublk, and its interplay with the cmdlets.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    # By a link on PATH, as it is installed.
    Invoke-Program ln -s $ublk "$TestDrive/ublk"
    $ublk = "$TestDrive/ublk"
}

Describe 'The command ublk' {
    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'adds, lists, recovers and deletes devices that the cmdlets know' {
        # A script of the reference server reads the process in column 7 and the state in column 9.
        function Get-Column([int] $Id, [string] $Word, [int] $Column) {
            $line = Invoke-Program $ublk list -n $Id | Where-Object { $_ -match $Word }
            ($line.Trim() -split '\s+')[$Column - 1]
        }

        $image = New-Image "$TestDrive/disk.img" 8MB -Random
        Invoke-Program $ublk add -t null -s 64M -q 2 --quiet | Should -BeNullOrEmpty
        (Invoke-Program $ublk add -t loop -f $image -o 8 -r 1 -i 1 -u 1 -g 0 -n 4)[0] |
            Should -Be 'dev id 4: nr_hw_queues 1 queue_depth 128 block size 512 dev_capacity 16376'
        Invoke-Program cmp --ignore-initial=4096:0 $image /dev/ublkb4

        $disk = Get-UblkDevice 4
        $disk.Target, $disk.BackingPath, $disk.Recovery | Should -Be 'Loop', $image.FullName, 'Reissue'
        Get-Column 4 pid 7 | Should -Be $disk.ProcessId
        Get-Column 4 'queue 0' 4 | Should -Be $disk.Queues[0].ThreadId
        $list = Invoke-Program $ublk list --json | Join-String -Separator "`n" | ConvertFrom-Json
        $list.dev_info.dev_id | Should -Be 0, 4
        $list[1].target.offset, $list[1].recovery | Should -Be 8, reissue

        Stop-Worker 4
        Get-Column 4 state 9 | Should -Be QUIESCED
        $metrics = Invoke-Program $ublk metrics
        $metrics -match '^ublk_device_info{device="ublkb0",state="live",name="",target="null",version="\d+\.\d' | Should -HaveCount 1
        $metrics -match '^ublk_device_info{device="ublkb4",state="crashed",name="",target="loop",version="\d+\.\d' | Should -HaveCount 1
        $metrics | Should -Contain "ublk_device_size_bytes{device=`"ublkb4`"} $(8MB - 4KB)"
        $metrics -match '^ublk_requests_total{device="ublkb4"' | Should -BeNullOrEmpty
        Get-UblkMetric 4 | Should -Contain "ublk_device_size_bytes{device=`"ublkb4`"} $(8MB - 4KB)"
        $log = Invoke-Program $ublk log -n 4 --json | ConvertFrom-Json -DateKind Utc
        $log[-1].device, $log[-1].pid | Should -Be 4, $disk.ProcessId
        (Invoke-Program $ublk recover -n 4)[1] | Should -BeLike '*state LIVE'
        $recovered = (Get-UblkDevice 4).ProcessId
        Invoke-Program $ublk update -n 4
        Get-Column 4 state 9 | Should -Be LIVE
        Get-Column 4 pid 7 | Should -Not -BeIn $disk.ProcessId, $recovered
        Invoke-Program cmp --ignore-initial=4096:0 $image /dev/ublkb4

        Invoke-Program $ublk set_affinity -n 0 -q 1 --cpuset '[1]'
        (Get-UblkDevice 0).Queues[1].Affinity | Should -Be 1
        Stop-Worker 0
        Get-Column 0 state 9 | Should -Be DEAD
        Invoke-Failure $ublk recover -n 0 | Should -BeLike 'ublk: Device 0 was added without recovery*ublk del -n 0'

        $null = New-UblkDevice -Target Null -Size 64MB -Id 9
        Remove-UblkDevice 4
        Invoke-Program $ublk del -n 4 | Should -Be 'ublk: There is no ublk device 4.'
        Invoke-Program $ublk del -a
        Invoke-Program $ublk list | Should -BeNullOrEmpty
    }

    It 'names what a container lacks, and serves a disk from one that has it' {
        $own = 'mount -t tmpfs own $1; shift; exec "$@"'
        Invoke-Failure unshare --mount bash -c $own - /dev $ublk add -t null -s 64M | Should -BeLike '*/dev/ublk-control is missing*/dev.'
        $control = 'mkdir $1; mount -t tmpfs own $1; cp -a /dev/null /dev/urandom /dev/ublk-control $1; mount --move $1 /dev; shift; exec "$@"'
        Invoke-Failure unshare --mount bash -c $control - "$TestDrive/dev" $ublk add -t null -s 64M | Should -BeLike '*there is no /dev/ublkc0.*/dev.'
        Invoke-Failure setpriv --bounding-set=-sys_admin $ublk add -t null -s 64M | Should -BeLike '*CAP_SYS_ADMIN*'
        Invoke-Program unshare --mount --pid --fork --mount-proc bash -c `
            '$0 add -t null -s 64M --quiet; dd if=/dev/ublkb0 of=/dev/null bs=64k count=1 status=none; $0 del -n 0' $ublk
        Get-UblkDevice | Should -BeNullOrEmpty
    }

    It 'serves an image in the foreground, and refuses what means nothing' {
        $image = "$TestDrive/disk.qcow2"
        $null = New-UblkImage $image -Size 16MB
        Invoke-Failure $ublk add -t loop -f $image | Should -BeLike 'ublk: *qcow2*'
        Invoke-Failure $ublk add -t null -b | Should -BeLike "ublk: option '-b' is not supported*"
        Invoke-Failure $ublk list -n 3 | Should -Be 'ublk: There is no ublk device 3.'
        Get-UblkDevice | Should -BeNullOrEmpty

        $command = Start-Process $ublk -PassThru -RedirectStandardOutput "$TestDrive/out" -ArgumentList add, '-f', $image, '--foreground', '--read_only'
        Wait-For { (Get-Content "$TestDrive/out") -match 'target.*"name":"qcow2"' }
        Invoke-Program blockdev --getsize64 --getro /dev/ublkb0 | Should -Be 16MB, 1
        Invoke-Program env kill -TERM $command.Id
        $command.WaitForExit(60000) | Should -BeTrue
        $command.ExitCode | Should -Be 0
        Get-UblkDevice | Should -BeNullOrEmpty

        Invoke-Program $ublk features | Should -Contain "`tCMD_IOCTL_ENCODE    : 0x40"
    }
}
