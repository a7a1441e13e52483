# Every example of the help is run as it stands there, where this machine has what it takes.

BeforeDiscovery {
    # What an example presupposes. Each example has a folder of its own with images.
    $given = @{
        'Get-UblkDevice'     = 'one'
        'Get-UblkLog'        = 'one'
        'Measure-UblkDevice' = 'one'
        'Remove-UblkDevice'  = 'one'
        'Resize-UblkDevice'  = 'one'
        'Set-UblkDevice'     = 'one'
        'Start-UblkDevice'   = 'stopped'
        'Stop-UblkDevice'    = 'one'
        'Restore-UblkDevice' = 'dead'
        'Resume-UblkDevice'  = 'suspended'
        'Suspend-UblkDevice' = 'one'
        'Update-UblkDevice'  = 'one'
    }

    # These change the machine beyond its devices, want another user, an assembly, or a Select-Object that stops what is before it.
    $elsewhere = 'Register-UblkDevice', 'Unregister-UblkDevice', 'Install-UblkUdevRule', 'Uninstall-UblkUdevRule', '-Unprivileged', '-Continuous', 'MyDisk.dll'
    $examples = foreach ($page in Get-ChildItem "$PSScriptRoot/../../docs/help/*.md") {
        foreach ($match in [regex]::Matches((Get-Content -Raw $page), '(?s)```powershell\n(.*?)\n```')) {
            $code = $match.Groups[1].Value
            $commands = [Management.Automation.Language.Parser]::ParseInput($code, [ref] $null, [ref] $null).FindAll(
                { $args[0] -is [Management.Automation.Language.CommandAst] }, $true) | ForEach-Object { $_.GetCommandName() }
            @{
                Page  = $page.BaseName
                Code  = $code
                Given = $code.StartsWith('fstrim /mnt') ? 'mounted' : $given[$page.BaseName]
                Skip  = [bool] ($elsewhere | Where-Object { $code.Contains($_) }) -or
                    [bool] ($commands | Where-Object { $_ -notlike '*-Ublk*' -and -not (Get-Command $_ -ErrorAction Ignore) })
            }
        }
    }
}

BeforeAll {
    . $PSScriptRoot/Common.ps1

    # The images that examples speak of, but for what this one makes.
    function New-ExampleImage([string] $Page, [string] $Code) {
        '1.img', 'disk.img' | ForEach-Object { New-Image $_ 16MB }
        New-UblkImage -Path base.qcow2 -Size 1GB
        if ($Code -notmatch 'New-UblkImage (-Path )?work\.qcow2') {
            New-UblkImage -Path work.qcow2 -BackingPath base.qcow2 -BackingFormat Qcow2
        }
        if ($Code -notmatch 'New-UblkImage (-Path )?disk\.qcow2') {
            New-UblkImage -Path disk.qcow2 -Size 20GB
            if ($Page -notin 'Checkpoint-UblkImage', 'Resize-UblkImage') {
                'before-upgrade', 'monday' | ForEach-Object { Checkpoint-UblkImage -Path disk.qcow2 -Name $_ }
            }
        }
    }
}

Describe 'An example of <_.Page>' -ForEach $examples {
    BeforeAll {
        $folder = New-Item -ItemType Directory -Force "$TestDrive/example"
        Push-Location $folder
        New-ExampleImage $_.Page $_.Code
        $null = New-Item -ItemType Directory -Force /var/lib/prometheus/node-exporter
        if ($_.Given -and $_.Given -ne 'mounted') {
            # As many as the examples speak of, with the id and the name they use.
            $null = New-UblkDevice -Target Loop -Path disk.img -Id 0 -Symlink data -Recovery Reissue -QueueCount 2
            1, 3 | ForEach-Object { $null = New-UblkDevice -Target Null -Id $_ -Recovery Reissue }
        }
        switch ($_.Given) {
            'stopped' { Get-UblkDevice | Stop-UblkDevice }
            'suspended' { Get-UblkDevice | Suspend-UblkDevice }
            'dead' { Stop-Worker 0 }
            'mounted' {
                $disk = New-UblkDevice -Target Qcow2 -Path disk.qcow2 -Id 0
                Invoke-Program mkfs.ext4 -q $disk
                Invoke-Program mount $disk /mnt
            }
        }
    }

    AfterAll {
        Pop-Location
        if (Test-Path /proc/mounts) {
            Get-Content /proc/mounts | Where-Object { $_ -match '^/dev/ublkb\S+ (\S+)' } | ForEach-Object { Invoke-Program umount $Matches[1] }
        }
        Remove-EveryDevice
        Remove-Item $folder -Recurse -Force
    }

    It 'does what it says: <_.Code>' -Skip:$_.Skip {
        # Nobody is there to be asked.
        $ConfirmPreference = 'None'
        $errorsBefore = $Error.Count
        $null = . ([scriptblock]::Create($_.Code)) | Out-String
        $Error.Count | Should -Be $errorsBefore -Because "$($Error | Select-Object -First 1)"
    }
}
