# Devices that systemd makes at boot: what is registered, what its unit does, and what is left of it.

BeforeDiscovery {
    $plugin = "$PSScriptRoot/../../out/documentation/Secret/plugin/Secret.dll"
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $plugin = "$root/out/documentation/Secret/plugin/Secret.dll"
    $register = 'Ublk.PowerShell.Commands.RegisterUblkDeviceCommand'
    $unregister = 'Ublk.PowerShell.Commands.UnregisterUblkDeviceCommand'
    $unit = 'ublk@data.service'
    $link = '/dev/disk/by-ublk/data'
    $image = "$TestDrive/a disk.img"
    New-Image $image 32MB
    Invoke-Program mkfs.ext4 -q -F $image

    # What registrations consist of. Nothing, when all is well.
    function Get-Registered {
        $places = '/etc/ublk', '/usr/lib/ublk', '/etc/systemd/system/ublk@*', '/etc/systemd/system/*.wants/ublk@*', '/etc/udev/rules.d/*-ublk-*' |
            Get-Item -ErrorAction Ignore
        @($places) + @($places | Get-ChildItem -Recurse) | ForEach-Object FullName
    }

    function Get-Worker {
        (Get-UblkDevice -Path $link).ProcessId
    }

    # As ps(1) shows it: the path by which the worker was started.
    function Get-WorkerPath {
        (Get-Content -Raw "/proc/$(Get-Worker)/cmdline") -split "`0" | Select-Object -First 1
    }
}

Describe 'Where systemd runs, a registered device' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    # Whatever changes what is registered has systemd read all its units again, which takes seconds: one registration serves those
    # who only use it.
    BeforeEach {
        if (-not (Test-Path /etc/ublk/data.json)) {
            $script:registration = Register-UblkDevice -Name data -Target Loop -Path $image -QueueCount 2 -DirectIO:$false
        }
    }

    AfterEach {
        if (Test-Path /etc/ublk/data.json) {
            Invoke-Program systemctl stop $unit
            Invoke-Program systemctl reset-failed
        }
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    AfterAll {
        Unregister-UblkDevice -Name * -Stop
        Get-Registered | Should -BeNullOrEmpty
    }

    It 'is a unit that systemd finds nothing wrong with, enabled and not started' {
        Invoke-Program systemd-analyze verify $unit | Should -BeNullOrEmpty
        Invoke-Program systemctl is-enabled $unit | Should -Be 'enabled'
        Invoke-Failure systemctl is-active $unit | Should -Be 'inactive'
        Get-Leftover | Should -BeNullOrEmpty
        $registration.Unit | Should -Be $unit
        $registration.Symlink | Should -Be $link
        ($registration | Out-String -Width 200) | Should -Match "data +Loop +$unit +$image"
        $specification = Get-Content -Raw $registration.SpecificationPath | ConvertFrom-Json
        $specification.Options.Path | Should -Be $image
        $specification.AutoRestart, $specification.Recovery | Should -Be $true, 'Reissue'
    }

    It 'is made as it was registered when its unit is started, and removed when it is stopped' {
        Invoke-Program systemctl start $unit
        $device = Get-UblkDevice -Path $link
        $device.State | Should -Be 'Live'
        $device.QueueCount | Should -Be 2
        $device.Options.DirectIO | Should -Be 'false'
        Invoke-Program cmp $link $image
        Get-Content "/proc/$($device.ProcessId)/cgroup" | Should -Match 'ublk@data\.service'
        Invoke-Program systemctl show --property=StatusText --value $unit | Should -Be $device.DevicePath
        Invoke-Program systemctl stop $unit
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'names the module that registered it in one place, where the next one is named after an update' {
        Get-Content "/etc/systemd/system/$unit.d/*" | Should -Not -Match ([regex]::Escape($modulePath))
        $next = "$TestDrive/Ublk"
        Invoke-Program cp -r $modulePath $next
        $null = New-UblkDevice -Target Null -Recovery Reissue
        & ([Environment]::ProcessPath) -NoProfile -NonInteractive -Command "Import-Module '$next/Ublk.psd1'; Update-UblkDevice 0" | Should -BeNullOrEmpty
        Remove-EveryDevice
        Invoke-Program systemctl start $unit
        Get-WorkerPath | Should -Be '/usr/lib/ublk/ublk-worker'
        (Get-Item "/proc/$(Get-Worker)/exe").LinkTarget | Should -BeLike "$next/*"
        Invoke-Program systemctl stop $unit

        # Back to the module that is tested.
        $null = Register-UblkDevice -Name more -Target Null
        (Get-Item /usr/lib/ublk/ublk-worker).LinkTarget | Should -BeLike "$modulePath/*"
        "/etc/systemd/system/ublk@more.service.d" | Should -Not -Exist
        Unregister-UblkDevice more
        Invoke-Program systemctl start $unit
        (Get-Item "/proc/$(Get-Worker)/exe").LinkTarget | Should -BeLike "$modulePath/*"
    }

    It 'of a target from an assembly has a command of its own, which names no version either' -Skip:(-not (Test-Path $plugin)) {
        Copy-Item (Split-Path $plugin) "$TestDrive/plugin" -Recurse
        Invoke-Program chmod -R go-w "$TestDrive/plugin"
        $null = Register-UblkDevice -Name secret -Assembly "$TestDrive/plugin/Secret.dll" -Target Secret -Size 64MB -Option @{ Key = 99 } -Start
        $device = Get-UblkDevice -Name secret
        $device.State, $device.Recovery | Should -Be 'Live', 'None'
        (Get-Content -Raw "/proc/$($device.ProcessId)/cmdline") | Should -Match '^\S*/dotnet\0'
        Invoke-Program systemctl show --property=ExecStart --value ublk@secret.service |
            Should -Match '/dotnet /usr/lib/ublk/portable/ublk-worker.dll attach /etc/ublk/secret.json'
        Unregister-UblkDevice secret -Stop
    }

    It 'by a unit of its own, as former versions wrote it, is made and unregistered' {
        $own = "/etc/systemd/system/$unit"
        $worker = (Get-Item /usr/lib/ublk/ublk-worker).LinkTarget
        (Get-Content -Raw /etc/systemd/system/ublk@.service).Replace('ExecStart=/usr/lib/ublk/ublk-worker', "ExecStart=`"$worker`"") | Set-Content $own
        Remove-Item "$own.d" -Recurse
        Invoke-Program systemctl daemon-reload
        Invoke-Program systemctl start $unit
        Get-WorkerPath | Should -Be $worker
        Unregister-UblkDevice data -Stop
        Get-Registered | Should -BeNullOrEmpty
    }

    It 'is there before the file system on it, and goes after it' -Skip:(-not (Test-Path /run/udev/control)) {
        # A name in which systemd escapes nothing: PowerShell takes a backslash in a path for a slash.
        $mount = '/run/ublk_mnt'
        $mountUnit = 'run-ublk_mnt.mount'
        $null = New-Item -ItemType Directory -Force $mount, "$TestDrive/units"
        Set-Content "$TestDrive/fstab" "$link $mount ext4 defaults,nofail,x-systemd.requires=$unit 0 2"
        Invoke-Program env "SYSTEMD_FSTAB=$TestDrive/fstab" SYSTEMD_PROC_CMDLINE=quiet /usr/lib/systemd/system-generators/systemd-fstab-generator "$TestDrive/units" "$TestDrive/units" "$TestDrive/units"
        Copy-Item "$TestDrive/units/$mountUnit" /run/systemd/system
        try {
            Invoke-Program systemctl daemon-reload
            Invoke-Program systemctl start $mountUnit
            (Get-UblkDevice -Path $link).MountPoints | Should -Be $mount
            Set-Content "$mount/file" 'something'
            Invoke-Program systemctl stop $unit
            Invoke-Failure mountpoint $mount
            Get-Leftover | Should -BeNullOrEmpty
            Invoke-Program e2fsck -fn $image
            Invoke-Program debugfs -R 'cat file' $image | Select-Object -Last 1 | Should -Be 'something'
        }
        finally {
            Remove-Item "/run/systemd/system/$mountUnit", $mount
            Invoke-Program systemctl daemon-reload
        }
    }

    It 'has failed when its worker is killed, and is made anew, without -AutoRestart' {
        Unregister-UblkDevice data
        $null = Register-UblkDevice -Name data -Target Loop -Path $image -AutoRestart:$false
        Invoke-Program systemctl start $unit
        Invoke-Program env kill -KILL (Get-Worker)
        Wait-For { (& systemctl is-active $unit) -eq 'failed' }
        (Get-UblkDevice -Path $link).State | Should -Be 'Crashed'
        Invoke-Program systemctl start $unit
        (Get-UblkDevice).State | Should -Be 'Live'
        (Get-UblkDevice).Recovery | Should -Be 'None'
        Invoke-Program cmp $link $image
        Unregister-UblkDevice data -Stop
    }

    It 'comes back by itself when its worker is killed' {
        Invoke-Program systemctl start $unit
        Invoke-Program env kill -KILL (Get-Worker)
        Wait-For { ($now = Get-UblkDevice).Restarts -eq 1 -and $now.State -eq 'Live' }
        Invoke-Program systemctl is-active $unit | Should -Be 'active'
        Get-WorkerPath | Should -Be '/usr/lib/ublk/ublk-worker'

        # Whoever waits for the disk goes on when the unit is started again.
        Invoke-Program pkill -KILL -x ublk-worker
        Wait-For { (Get-UblkDevice).State -eq 'Crashed' }
        $id = (Get-UblkDevice).Id
        Wait-For { (& systemctl is-active $unit) -eq 'failed' }
        Invoke-Program systemctl start $unit
        (Get-UblkDevice -Path $link).State | Should -Be 'Live'
        (Get-UblkDevice).Id | Should -Be $id
        Invoke-Program systemctl stop $unit
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is there with its unit while it is stopped, or served anew, and goes with it' {
        Invoke-Program systemctl start $unit
        $device = Get-UblkDevice -Path $link
        $device | Stop-UblkDevice
        Invoke-Program systemctl is-active $unit | Should -Be 'active'
        $device | Start-UblkDevice
        Invoke-Program cmp $link $image
        Invoke-Program systemctl stop $unit
        Wait-For { -not (Get-Leftover) }

        Invoke-Program systemctl start $unit
        Get-UblkDevice -Path $link | Stop-UblkDevice
        Invoke-Program systemctl stop $unit
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is served on when the main process of its unit is killed, and taken up again' {
        Invoke-Program systemctl start $unit
        $worker = Get-Worker
        Invoke-Program env kill -KILL (Invoke-Program systemctl show --property=MainPID --value $unit)
        Wait-For { (& systemctl is-active $unit) -eq 'failed' }
        Invoke-Program systemctl start $unit
        Get-Worker | Should -Be $worker
        Invoke-Program systemctl stop $unit
        Wait-For { -not (Get-Leftover) }
    }

    It 'says why it cannot be made' {
        $null = New-UblkDevice -Target Null -Name data
        Invoke-Failure systemctl start $unit
        Invoke-Program journalctl --sync
        (Invoke-Program journalctl -o cat -u $unit) -join "`n" | Should -Match "$link is the name of /dev/ublkb0"
        (Get-UblkDevice).Id | Should -Be 0
    }

    It 'is not unregistered while it is there, but with -Stop' {
        Invoke-Program systemctl start $unit
        { Unregister-UblkDevice data -ErrorAction Stop } | Should -Throw "*Unregister-UblkDevice data -Stop*" -ErrorId "DeviceInUse,$unregister"
        Invoke-Program systemctl is-enabled $unit | Should -Be 'enabled'
        (Unregister-UblkDevice data -Stop -PassThru).Name | Should -Be 'data'
        Get-Registered | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
        Invoke-Failure systemctl cat $unit
    }

    It 'is unregistered by name, by wildcards and from the pipeline' {
        (Get-Item $image | Register-UblkDevice -Name { "more$($_.Length)" } -Target Loop -ReadOnly -Start).BackingPath | Should -Be $image
        (Get-UblkDevice -Name more*).State | Should -Be 'Live'
        Unregister-UblkDevice more* -Stop -WhatIf
        (Get-UblkRegistration).Name | Should -Contain "more$((Get-Item $image).Length)"
        (Get-UblkRegistration more*).Target | Should -Be 'Loop'
        { Get-UblkRegistration none -ErrorAction Stop } | Should -Throw '*Get-UblkRegistration*' -ErrorId 'RegistrationNotFound,*'
        Invoke-Program systemctl stop (Get-UblkRegistration more*).Unit
        Unregister-UblkDevice m* -WhatIf
        (TabExpansion2 'Unregister-UblkDevice ').CompletionMatches.CompletionText | Should -Be 'data', 'more33554432'
        Unregister-UblkDevice m*
        Unregister-UblkDevice m*
        { Unregister-UblkDevice more -ErrorAction Stop } | Should -Throw '*more*' -ErrorId "RegistrationNotFound,$unregister"
        $registration | Unregister-UblkDevice
        Get-Registered | Should -BeNullOrEmpty
    }

    It 'leaves what is registered alone where another is refused' {
        $before = Get-Registered
        { Register-UblkDevice -Name data -Target Null -ErrorAction Stop } | Should -Throw '*Unregister*' -ErrorId "RegistrationExists,$register"
        { Register-UblkDevice -Name a/b -Target Null -ErrorAction Stop } | Should -Throw '*Name must be*' -ErrorId "InvalidArgument,$register"
        { Register-UblkDevice -Name more -Target Loop -Path missing.img -ErrorAction Stop } |
            Should -Throw '*missing.img*' -ErrorId "PathNotFound,$register"
        { Register-UblkDevice -Name more -Target Null -QueueDepth 4097 -ErrorAction Stop } |
            Should -Throw '*QueueDepth*' -ErrorId "InvalidArgument,$register"
        Get-Registered | Should -Be $before
    }

    It 'is not half-registered where its unit cannot be written' {
        Invoke-Program mount -t tmpfs -o ro none /etc/systemd/system
        try {
            { Register-UblkDevice -Name more -Target Null -ErrorAction Stop } | Should -Throw '*cannot be changed*' -ErrorId "OperationFailed,$register"
            Test-Path /etc/ublk/more.json | Should -BeFalse
        }
        finally {
            Invoke-Program umount /etc/systemd/system
        }
        (Get-Registered) -match 'more' | Should -BeNullOrEmpty
    }
}

Describe 'Where systemd does not run' -Skip:(Test-Path /run/systemd/system) {
    It 'nothing is registered' {
        { Register-UblkDevice -Name data -Target Null -ErrorAction Stop } | Should -Throw '*systemd*New-UblkDevice*' -ErrorId "NotSupported,$register"
        Get-Registered | Should -BeNullOrEmpty
        Unregister-UblkDevice *
        { Unregister-UblkDevice data -ErrorAction Stop } | Should -Throw '*data*' -ErrorId "RegistrationNotFound,$unregister"
    }
}
