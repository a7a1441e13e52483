# Devices where systemd runs: each is a unit of its own.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $image = "$TestDrive/disk.img"
    New-Image $image 16MB

    # Makes a disk with a copy of the module in a folder whose name is trouble, in a shell that is killed then.
    function New-AwkwardDevice([string] $Image) {
        $awkward = "$TestDrive/a user's [own] Übung %n"
        $null = New-Item -ItemType Directory $awkward
        Invoke-Program cp -r $modulePath $awkward/Ublk
        Set-Content "$TestDrive/awkward.ps1" @'
            param($Module, $Image)
            $ErrorActionPreference = 'Stop'
            Import-Module "$Module/Ublk.psd1"
            $null = New-UblkDevice -Target Loop -Path $Image
            bash -c 'kill -KILL $PPID'
'@
        $null = & ([Environment]::ProcessPath) -NoProfile -NonInteractive -File "$TestDrive/awkward.ps1" $awkward/Ublk $Image
    }
}

Describe 'Where systemd runs, a device' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    BeforeAll {
        $device = New-UblkDevice -Target Loop -Path $image
    }

    AfterAll {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is a unit' {
        Invoke-Program systemctl is-active ublk-0.service | Should -Be 'active'
        Invoke-Program systemctl show --property=MainPID --value ublk-0.service | Should -Be $device.ProcessId
        Get-Content "/proc/$($device.ProcessId)/cgroup" | Should -Match 'ublk-0\.service'
        Get-Content "/proc/$($device.ProcessId)/oom_score_adj" | Should -Be '-1000'
        Get-Privilege $device.ProcessId | Should -Be $workerPrivilege
    }

    It 'says in ps what it serves' {
        Invoke-Program ps -o args= -p $device.ProcessId | Should -BeLike "*/ublk-worker serve --id 0 --target Loop --path $image*"
    }

    It 'has a mount namespace of its own' {
        Invoke-Program readlink "/proc/$($device.ProcessId)/ns/mnt" | Should -Not -Be (Invoke-Program readlink "/proc/$PID/ns/mnt")
    }

    It 'writes to the journal, with its id as a field' {
        Invoke-Program journalctl --sync
        (Invoke-Program journalctl -o cat -t ublk UBLK_DEVICE=0) -join "`n" | Should -Match "device 0 is live: Loop $image"
        (Get-UblkLog -Id 0).Message -join "`n" | Should -Match "device 0 is live: Loop $image"
    }

    It 'has a log since a time, local or UTC' {
        $env:TZ = 'Asia/Tokyo'
        [TimeZoneInfo]::ClearCachedData()
        try {
            $now = [DateTime]::UtcNow
            foreach ($time in $now, $now.ToLocalTime(), [DateTime]::SpecifyKind($now.ToLocalTime(), 'Unspecified')) {
                Get-UblkLog -Id 0 -Since $time.AddHours(-1) | Should -Not -BeNullOrEmpty
                Get-UblkLog -Id 0 -Since $time.AddHours(1) | Should -BeNullOrEmpty
            }
        }
        finally {
            Remove-Item Env:TZ
            [TimeZoneInfo]::ClearCachedData()
        }
    }

    It 'has a log that cannot be read where journalctl fails' {
        $path = $env:PATH
        Set-Content "$TestDrive/journalctl" "#!/bin/sh`necho no journal files >&2`nexit 1"
        Invoke-Program chmod +x "$TestDrive/journalctl"
        $env:PATH = "${TestDrive}:$path"
        try {
            { Get-UblkLog -Id 0 -ErrorAction Stop } | Should -Throw '*no journal files*journalctl --identifier=ublk*' -ErrorId 'OperationFailed,Ublk.PowerShell.Commands.GetUblkLogCommand'
        }
        finally {
            $env:PATH = $path
            Remove-Item "$TestDrive/journalctl"
        }
    }

    It 'takes a file system' {
        $null = New-Item -ItemType Directory -Force "$TestDrive/mnt"
        Invoke-Program mkfs.ext4 -q -F $device
        Invoke-Program mount $device "$TestDrive/mnt"
        Set-Content "$TestDrive/mnt/file" 'something'
        Invoke-Program umount "$TestDrive/mnt"
        Invoke-Program e2fsck -fn $device
    }

    It 'leaves no unit where it cannot be made' {
        { New-UblkDevice -Target Loop -Path $image -ErrorAction Stop } | Should -Throw -ErrorId "BackingFileInUse,$new"
        Wait-For { @(Invoke-Program systemctl list-units --all --plain --no-legend 'ublk-[0-9]*').Count -eq 1 }
    }
}

Describe 'Where systemd runs, a device that changes' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    BeforeEach {
        $device = New-UblkDevice -Target Loop -Path $image
    }

    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is kept served by the same unit, whose main process is its supervisor' {
        $device | Remove-UblkDevice
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        $supervisor = Invoke-Program systemctl show --property=MainPID --value ublk-0.service
        Invoke-Program ps -o ppid= -p $device.ProcessId | ForEach-Object Trim | Should -Be $supervisor
        Invoke-Program env kill -KILL $device.ProcessId
        Wait-For { ($now = Get-UblkDevice).Restarts -eq 1 -and $now.State -eq 'Live' }
        Invoke-Program systemctl show --property=MainPID --value ublk-0.service | Should -Be $supervisor
        # All at once: systemctl kill takes them one by one and fails when one goes by itself meanwhile.
        Invoke-Program bash -c 'echo 1 > /sys/fs/cgroup$0/cgroup.kill' (Invoke-Program systemctl show --property=ControlGroup --value ublk-0.service)
        Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
        $device | Start-UblkDevice
        Invoke-Program systemctl is-active ublk-0.service | Should -Be 'active'
        Invoke-Program systemctl stop ublk-0.service
        Wait-For { -not (Get-Leftover) }
    }

    It 'is in the metrics that a unit of the package writes, also without a worker' {
        $unit = '/run/systemd/system/ublk-metrics.service'
        Invoke-Program ln -s $ublk "$TestDrive/ublk"
        (Get-Content -Raw "$PSScriptRoot/../../packaging/systemd/ublk-metrics.service").Replace('/usr/bin/', "$TestDrive/").Replace(
            '/var/lib/prometheus/node-exporter', $TestDrive) | Set-Content $unit
        try {
            Invoke-Program systemctl daemon-reload
            Invoke-Program systemctl start ublk-metrics.service
            Get-Content "$TestDrive/ublk.prom" | Where-Object { $_ -like 'ublk_requests_in_flight{device="ublkb0"} *' } | Should -HaveCount 1
            Stop-Worker 0
            Invoke-Program systemctl start ublk-metrics.service
            Get-Content "$TestDrive/ublk.prom" | Where-Object { $_ -like 'ublk_device_info{device="ublkb0",state="crashed"*' } | Should -HaveCount 1
        }
        finally {
            Remove-Item $unit
            Invoke-Program systemctl daemon-reload
        }
    }

    It 'serves on when its supervisor is killed' {
        $device | Remove-UblkDevice
        $device = New-UblkDevice -Target Loop -Path $image -AutoRestart
        Invoke-Program env kill -KILL (Invoke-Program systemctl show --property=MainPID --value ublk-0.service)
        Wait-For { (& systemctl is-active ublk-0.service) -ne 'active' }
        Invoke-Program dd "if=$device" of=/dev/null bs=64k count=1 iflag=direct
        (Get-UblkDevice).ProcessId | Should -Be $device.ProcessId

        # Both are back once the worker is gone too.
        Invoke-Program env kill -KILL $device.ProcessId
        Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
        $device | Start-UblkDevice
        Invoke-Program systemctl is-active ublk-0.service | Should -Be 'active'
    }

    It 'is known to have no worker as soon as that dies' {
        Use-Worker 'exit 1' {
            { New-UblkDevice -Target Null -ErrorAction Stop } | Should -Throw -ErrorId "WorkerDied,$new"
        }
    }

    It 'is removed by stopping its unit' {
        Invoke-Program systemctl stop ublk-0.service
        Wait-For { -not (Get-Leftover) }
    }

    It 'leaves no unit when it is removed' {
        $device | Remove-UblkDevice
        Wait-For { -not (Invoke-Program systemctl list-units --all --plain --no-legend 'ublk-[0-9]*') }
    }

    It 'leaves no unit in the way of its successor when its worker is killed' {
        Invoke-Program env kill -KILL $device.ProcessId
        Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
        Get-UblkDevice | Remove-UblkDevice
        (New-UblkDevice -Target Null).Id | Should -Be 0
    }

    It 'survives the shell that made it, with a module in a folder of any name' {
        $device | Remove-UblkDevice
        New-AwkwardDevice $image
        $device = Get-UblkDevice
        $device.State | Should -Be 'Live'
        Invoke-Program ps -o args= -p $device.ProcessId | Should -BeLike "*/a user's ``[own``] Übung %n/Ublk/worker/*/ublk-worker serve*--path $image*"
    }
}

Describe 'Where systemd runs, an export' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    It 'is a unit, and gone when that is stopped' {
        $export = New-UblkExport $image -Name data
        Invoke-Program systemctl show --property=MainPID --value ublk-export-data.service | Should -Be $export.ProcessId
        Get-Privilege $export.ProcessId | Should -Be $workerPrivilege
        Invoke-Program systemctl stop ublk-export-data.service
        Get-UblkExport | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
    }
}
