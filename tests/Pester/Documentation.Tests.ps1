# What the documentation tells its readers to type is run as it stands there: each example of the help by itself, each page from
# its top to its end. Plugin.Tests.ps1 has the tutorial.

BeforeDiscovery {
    # The PowerShell of a page.
    function Read-Code([string] $File) {
        [regex]::Matches((Get-Content -Raw $File), '(?s)```powershell\n(.*?)\n```') | ForEach-Object { $_.Groups[1].Value }
    }

    # What an example or a page presupposes of devices. Each has a folder of its own with images.
    $given = @{
        'about_Ublk_Performance' = 'one'
        'Get-UblkDevice'         = 'one'
        'Get-UblkLog'            = 'one'
        'Measure-UblkDevice'     = 'one'
        'Remove-UblkDevice'      = 'one'
        'Resize-UblkDevice'      = 'one'
        'Set-UblkDevice'         = 'one'
        'Start-UblkDevice'       = 'stopped'
        'Stop-UblkDevice'        = 'one'
        'Restore-UblkDevice'     = 'dead'
        'Resume-UblkDevice'      = 'suspended'
        'Suspend-UblkDevice'     = 'one'
        'Unregister-UblkDevice'  = 'registered'
        'Update-UblkDevice'      = 'one'
        'recovery'               = 'dead'
        'troubleshooting'        = 'one'
    }

    $root = "$PSScriptRoot/../.."
    $examples = foreach ($page in Get-ChildItem "$root/docs/help/*.md") {
        foreach ($code in Read-Code $page) {
            @{ Page = $page.BaseName; Code = $code; Given = $code.StartsWith('fstrim /mnt') ? 'mounted' : $given[$page.BaseName] }
        }
    }
    $pages = foreach ($page in Get-ChildItem "$root/README.md", "$root/docs/*.md", "$root/docs/targets/*.md") {
        $code = @(Read-Code $page)
        if ($code -and $page.BaseName -ne 'tutorial') {
            # What builds the module has been run, or there would be none. A page that begins by importing it is typed in a new shell.
            $code = $code -replace '(?m)^\./build\.sh .*\n', ''
            $isNew = $code[0].StartsWith('Import-Module ./')
            @{ Page = $page.BaseName; Code = $code; Given = $given[$page.BaseName]; IsNew = $isNew }
        }
    }
}

BeforeAll {
    . $PSScriptRoot/Common.ps1
    . $PSScriptRoot/UserShell.ps1
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
    New-Item $fstab
    Invoke-Program touch /etc/fstab
    Invoke-Program mount --bind $fstab /etc/fstab

    $null = New-Item -ItemType Directory $files/disks
    '1.img', '2.img', '3.img', 'disk.img', 'data.img', 'base.img', 'golden.img', 'disks/1.img', 'disks/2.img' | ForEach-Object { New-Image $files/$_ 16MB }
    'disk.img', 'data.img' | ForEach-Object { Invoke-Program mkfs.ext4 -q $files/$_ }
    New-UblkImage $files/base.qcow2 1GB
    New-UblkImage $files/work.qcow2 -BackingPath $files/base.qcow2 -BackingFormat Qcow2
    'disk', 'plain' | ForEach-Object { New-UblkImage $files/$_.qcow2 20GB }
    'before-upgrade', 'monday' | ForEach-Object { Checkpoint-UblkImage $files/disk.qcow2 $_ }
    $null = New-Item -ItemType SymbolicLink $files/out -Target "$root/out"
    Invoke-Program cp -r --no-preserve=mode "$root/out/documentation/Zero/plugin/." $files

    # Here, for what a block makes goes with it.
    Install-ForEverybody
    $userShell = Start-UserShell daemon
    Invoke-AsUser $userShell 'truncate -s 16M 1.img disk.img'

    # The files that the documentation speaks of, but for what this code makes.
    function New-DocumentedFile([string] $Code) {
        Invoke-Program cp -r --sparse=always $files $folder
        $null = New-Item -ItemType Directory /images
        Move-Item $folder/data.img /images
        Get-ChildItem $folder -Filter *.qcow2 | Where-Object { $Code -match "New-UblkImage (-Path )?$($_.Name)" } | Remove-Item
        if ($Code -match '^(Checkpoint|Resize)-UblkImage' -and $Code -notmatch 'Restore-') {
            Move-Item $folder/plain.qcow2 $folder/disk.qcow2 -Force
        }
    }

    # As many as the code speaks of, with the id and the name it uses.
    function New-DocumentedDevice([string] $Given, [string] $Code) {
        if ($Given -in 'one', 'stopped', 'suspended', 'dead') {
            $null = New-UblkDevice -Target Loop -Path disk.img -Id 0 -Symlink data -Recovery Reissue -QueueCount 2
            1, 3 | Where-Object { $Code -match "\b$_\b" } | ForEach-Object { $null = New-UblkDevice -Target Null -Id $_ -Recovery Reissue }
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

    # Runs code as somebody who types it would, in the caller's scope. What has -Unprivileged is typed by an ordinary user.
    function Invoke-Documented([string] $Code) {
        if (-not $Code.Contains('-Unprivileged')) {
            # Nobody is there to be asked.
            $ConfirmPreference = 'None'
            $PSNativeCommandUseErrorActionPreference = $true
            $errorsBefore = $Error.Count
            $null = . ([scriptblock]::Create($Code)) | Out-String
            $Error.Count | Should -Be $errorsBefore -Because "$($Error | Select-Object -First 1)"
            return
        }

        Install-UblkUdevRule
        Invoke-AsUser $userShell $Code
    }

    function Undo-Documented {
        Get-Content /proc/mounts | Where-Object { $_ -match '^/dev/ublkb\S+ (\S+)' } | ForEach-Object { Invoke-Program umount $Matches[1] }
        if (Test-Path /etc/ublk) {
            Unregister-UblkDevice * -Force
        }
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
    Invoke-Program umount /etc/fstab
    Stop-UserShell $userShell
    Uninstall-ForEverybody
}

Describe 'An example of <_.Page>' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) -ForEach $examples {
    BeforeAll {
        New-DocumentedFile $_.Code
        Push-Location $folder
        New-DocumentedDevice $_.Given $_.Code
    }

    AfterAll {
        Pop-Location
        Undo-Documented
    }

    It 'does what it says: <_.Code>' {
        Invoke-Documented $_.Code
    }
}

Describe 'The page <_.Page>' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) -ForEach $pages {
    BeforeAll {
        $code = $_.Code -join "`n"
        New-DocumentedFile $code
        Push-Location $folder
        New-DocumentedDevice $_.Given $code
    }

    AfterAll {
        Pop-Location
        Undo-Documented
    }

    It 'can be typed from its top to its end' {
        if ($_.IsNew) {
            $inShell, $byUser = $_.Code.Where({ -not $_.Contains('-Unprivileged') }, 'Split')
            $start = "Set-Location '$folder'; `$ErrorActionPreference = 'Stop'; `$PSNativeCommandUseErrorActionPreference = `$true"
            Invoke-Program ([Environment]::ProcessPath) -NoProfile -NonInteractive -Command ((@($start) + $inShell) -join "`n")
            $byUser | ForEach-Object { Invoke-Documented $_ }
        }
        else {
            $_.Code | ForEach-Object { . Invoke-Documented $_ }
        }
    }
}

Describe 'The demo' -Tag Systemd -Skip:(-not (Test-Path /run/systemd/system)) {
    It 'prints the session that the README shows' {
        $said = Invoke-Program ([Environment]::ProcessPath) -NoProfile -NonInteractive -File "$root/samples/Demo.ps1"
        $shown = [regex]::Matches((Get-Content -Raw "$root/README.md"), '(?m)^    (PS> .*)$') | ForEach-Object { $_.Groups[1].Value }
        $shown.Count | Should -BeGreaterThan 5
        $shown | ForEach-Object { $_ | Should -BeIn $said }
        Get-Leftover | Should -BeNullOrEmpty
    }
}
