# What the documentation tells its readers to type is run as it stands there: each example of the help by itself, each page from
# its top to its end. tests/Module/Example.Tests.ps1 has the examples that need no driver, Plugin.Tests.ps1 the tutorial.

BeforeDiscovery {
    . $PSScriptRoot/Documented.ps1

    # What an example or a page presupposes of devices. Each has a folder of its own with images.
    $given = @{
        'about_Ublk_Performance' = 'one'
        'Get-UblkDevice'         = 'one'
        'Format-UblkMeasurement' = 'one'
        'Get-UblkLog'            = 'one'
        'Get-UblkMetric'         = 'one'
        'Get-UblkRegistration'   = 'registered'
        'Measure-UblkDevice'     = 'one'
        'New-UblkExport'         = 'one'
        'Remove-UblkDevice'      = 'one'
        'Resize-UblkDevice'      = 'one'
        'Set-UblkDevice'         = 'one'
        'Start-UblkDevice'       = 'stopped'
        'Stop-UblkDevice'        = 'one'
        'Resume-UblkDevice'      = 'suspended'
        'Suspend-UblkDevice'     = 'one'
        'Unregister-UblkDevice'  = 'registered'
        'Update-UblkDevice'      = 'one'
        'Watch-UblkDevice'       = 'one'
        'recovery'               = 'dead'
        'troubleshooting'        = 'one'
    }

    $root = "$PSScriptRoot/../.."
    $examples = Read-Example | Where-Object NeedsDriver |
        ForEach-Object { $_ + @{ Given = $_.Code.StartsWith('fstrim /mnt') ? 'mounted' : $given[$_.Page] } }
    $pages = foreach ($page in Get-ChildItem "$root/README.md", "$root/docs/*.md", "$root/docs/targets/*.md") {
        $code = @(Read-Code $page)
        if ($code -and $page.BaseName -ne 'tutorial') {
            # What builds the module has been run, or there would be none. The README is typed in a new shell, which imports it.
            $code = $code -replace '(?m)^\./build\.sh .*\n', ''
            $isNew = $page.BaseName -eq 'README'
            if (-not $isNew) {
                $code = $code -replace '(?m)^Import-Module \./out/Ublk\n?', ''
            }
            @{ Page = $page.BaseName; Code = $code; Given = $given[$page.BaseName]; IsNew = $isNew }
        }
    }
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    . $PSScriptRoot/UserShell.ps1
    . $PSScriptRoot/Documented.ps1
    $files = "$TestDrive/files"
    $folder = "$TestDrive/example"
    $fstab = "$TestDrive/fstab"
    $limit = '/sys/module/ublk_drv/parameters/ublks_max'
    $usual = Get-Content $limit
    if (Test-Path /images) {
        throw 'The documentation makes /images, which this machine has.'
    }
    $null = New-Item -ItemType Directory -Force /var/lib/prometheus/node-exporter

    # The machine's own table stays as it is.
    $null = New-Item $fstab
    Invoke-Program touch /etc/fstab
    Invoke-Program mount --bind $fstab /etc/fstab

    New-DocumentedFile $files
    'disk.img', 'data.img' | ForEach-Object { Invoke-Program mkfs.ext4 -q $files/$_ }

    Install-ForEverybody
    $userShell = Start-UserShell daemon
    Invoke-AsUser $userShell 'truncate -s 16M 1.img disk.img'

    # Other devices that the code names by their ids.
    function Get-DocumentedId([string] $Code) {
        1, 3 | Where-Object { $Code -match "\b$_\b" }
    }

    # As many as the code speaks of, with the id and the name it uses.
    function New-DocumentedDevice([string] $Given, [string] $Code) {
        if ($Given -in 'one', 'stopped', 'suspended', 'dead') {
            $null = New-UblkDevice -Target Loop -Path disk.img -Id 0 -Name data -Recovery Reissue -QueueCount 2
            Get-DocumentedId $Code | ForEach-Object { $null = New-UblkDevice -Target Null -Id $_ -Recovery Reissue }
        }
        switch ($Given) {
            'stopped' { Get-UblkDevice | Stop-UblkDevice }
            'suspended' { Get-UblkDevice | Suspend-UblkDevice }
            'dead' { Stop-Worker 0 }
            'registered' { $null = Register-UblkDevice -Name data -Target Loop -Path /images/data.img }
            'mounted' {
                $disk = New-UblkDevice -Target Qcow2 -Path disk.qcow2 -Id 0
                Invoke-Program mkfs.ext4 -q $disk
                Invoke-Program mount $disk /mnt
            }
        }
    }

    # Makes what an example or a page presupposes, and goes there.
    function Enter-Documented([string] $Given, [string] $Code) {
        Copy-DocumentedFile $files $folder $Code
        $null = New-Item -ItemType Directory /images
        Move-Item $folder/data.img /images
        if ($Code.Contains('/images/disk.vhdx')) {
            Invoke-Program qemu-img create -q -f vhdx /images/disk.vhdx 16M
        }
        Set-Location $folder
        New-DocumentedDevice $Given $Code
    }

    # Runs code as its reader would: what has -Unprivileged is typed by an ordinary user.
    function Invoke-Documented([string] $Code) {
        if ($Code.Contains('-Unprivileged')) {
            Install-UblkUdevRule
            Invoke-AsUser $userShell $Code
        }
        else {
            . Invoke-Code $Code
        }
    }

    function Exit-Documented {
        Set-Location $TestDrive
        Get-Content /proc/mounts | Where-Object { $_ -match '^/dev/ublkb\S+ (\S+)' } | ForEach-Object { Invoke-Program umount $Matches[1] }
        if (Test-Path /etc/ublk) {
            Unregister-UblkDevice * -Stop
        }
        Get-UblkExport | Remove-UblkExport -Force
        Remove-EveryDevice
        if (Test-Path /etc/udev/rules.d/59-ublk.rules) {
            Uninstall-UblkUdevRule
        }
        Set-Content $limit $usual
        Set-Content $fstab '' -NoNewline
        Remove-Item $folder, /images -Recurse -Force -ErrorAction Ignore
        # What a page installs stands beside the version that its user's shell has.
        Get-ChildItem (Split-Path $sharedModule) -Exclude (Split-Path -Leaf $sharedModule) | Remove-Item -Recurse
    }
}

AfterAll {
    Set-Location $root
    Invoke-Program umount /etc/fstab
    Stop-UserShell $userShell
    Uninstall-ForEverybody
}

# One block for all of them: to enter and to leave a block takes Pester longer than most examples take.
Describe 'An example of the help' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    BeforeAll {
        $script:ready = $null
    }

    # What an example leaves as it was serves the next one as well.
    BeforeEach {
        $needed = "$Given $(Get-DocumentedId $Code)"
        if ($script:ready -ne $needed) {
            if ($script:ready) {
                Exit-Documented
            }
            Enter-Documented $Given $Code
            $script:ready = $needed
        }
    }

    AfterEach {
        $changes = $Code -match '(?m)^(?!.*-WhatIf$).*\b(?!Get|Measure|Watch|Format)\w+-Ublk|^(?!\(?(Get|Measure|Watch|Format)-Ublk)'
        if ($changes) {
            Exit-Documented
            $script:ready = $null
        }
    }

    AfterAll {
        if ($script:ready) {
            Exit-Documented
        }
    }

    It 'does what <Page> says: <Code>' -ForEach $examples {
        . Invoke-Documented $Code
    }
}

Describe 'A page' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    BeforeEach {
        Enter-Documented $Given ($Code -join "`n")
    }

    AfterEach {
        Exit-Documented
    }

    It 'can be typed from its top to its end: <Page>' -ForEach $pages {
        if ($IsNew) {
            $inShell, $byUser = $Code.Where({ -not $_.Contains('-Unprivileged') }, 'Split')
            $start = "Set-Location '$folder'; `$ErrorActionPreference = 'Stop'; `$PSNativeCommandUseErrorActionPreference = `$true"
            Invoke-Program ([Environment]::ProcessPath) -NoProfile -NonInteractive -Command ((@($start) + $inShell) -join "`n")
            $byUser | ForEach-Object { Invoke-Documented $_ }
        }
        else {
            $Code | ForEach-Object { . Invoke-Documented $_ }
        }
    }
}

Describe 'The demo' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    It 'prints the session that the README shows' {
        $said = & "$root/samples/Demo.ps1" 6>&1 | ForEach-Object { "$_" -split "`n" }
        $shown = [regex]::Matches((Get-Content -Raw "$root/README.md"), '(?m)^    (PS> .*)$') | ForEach-Object { $_.Groups[1].Value }
        $shown.Count | Should -BeGreaterThan 5
        $shown | ForEach-Object { $_ | Should -BeIn $said }
        Get-Leftover | Should -BeNullOrEmpty
    }
}
