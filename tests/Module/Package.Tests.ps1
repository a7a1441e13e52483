# The module as a gallery hands it out: complete, described, and imported by an engine that knows nothing of this folder.

BeforeAll {
    $root = Split-Path (Split-Path $PSScriptRoot)
    $source = Import-PowerShellDataFile "$root/Ublk.psd1"
    $version = $source.ModuleVersion
    $folder = "$TestDrive/modules/Ublk/$version"
    [IO.Compression.ZipFile]::ExtractToDirectory("$root/out/packages/Ublk.$version.nupkg", $folder)
    $manifest = Import-PowerShellDataFile "$folder/Ublk.psd1"
    [xml] $package = Get-Content -Raw "$folder/Ublk.nuspec"

    # What a new PowerShell says whose modules are those of the package alone.
    function Invoke-Clean([string] $Script) {
        $before = $env:PSModulePath
        $env:PSModulePath = "$TestDrive/modules"
        $lines = & ([Environment]::ProcessPath) -NoProfile -NonInteractive -Command $Script 2>&1 | ForEach-Object { "$_" }
        $env:PSModulePath = $before
        $lines
    }
}

Describe 'The package' {
    It 'is imported by name, with every cmdlet, the views, the types and the help' {
        $said = Invoke-Clean @'
            Import-Module Ublk
            $module = Get-Module Ublk
            "version $($module.Version)"
            "from $($module.ModuleBase)"
            "cmdlets $($module.ExportedCmdlets.Count)"
            "view $([pscustomobject] @{ PSTypeName = 'Ublk.Registration.UblkRegistration'; Name = 'data'; Unit = 'one' } | Out-String)"
            $measurement = [pscustomobject] @{
                PSTypeName = 'Ublk.Measuring.UblkMeasurement'; ReadsPerSecond = 1; WritesPerSecond = 2; FlushesPerSecond = 3; DiscardsPerSecond = 4
            }
            "sum $($measurement.RequestsPerSecond)"
            "synopsis $((Get-Help Remove-UblkDevice).Synopsis)"
            "topic $(Test-Path "$($module.ModuleBase)/en-US/about_Ublk_Errors.help.txt")"
'@
        $said | Should -Contain "version $version"
        $said | Should -Contain "from $folder"
        $said | Should -Contain "cmdlets $($source.CmdletsToExport.Count)"
        $said -join "`n" | Should -Match 'view\s+Name +Target +Unit +File'
        $said | Should -Contain 'sum 10'
        $said | Should -Contain 'synopsis Removes ublk devices.'
        $said | Should -Contain 'topic True'
    }

    It 'has the programs for this machine' {
        Test-Path "$folder/worker/linux-x64/ublk-worker" | Should -BeTrue
        Test-Path "$folder/worker/linux-x64/ublk" | Should -BeTrue
        Test-Path "$folder/worker/portable/ublk-worker.dll" | Should -BeTrue
    }

    It 'has assemblies for every machine' {
        foreach ($file in Get-Item "$folder/bin/*.dll", "$folder/worker/portable/*.dll") {
            $reader = [Reflection.PortableExecutable.PEReader]::new([IO.File]::OpenRead($file.FullName))
            # Without code of a machine it has the number of the oldest one.
            $reader.PEHeaders.CoffHeader.Machine | Should -Be 'I386' -Because $file.Name
            $reader.Dispose()
        }
    }

    It 'tells a gallery what it is' {
        $metadata = $package.package.metadata
        $metadata.id | Should -Be 'Ublk'
        $metadata.version | Should -Be $version
        $metadata.releaseNotes | Should -Match 'New-UblkDevice'
        $tags = $metadata.tags -split ' '
        $tags | Should -Contain 'PSModule'
        $tags | Should -Contain 'PSEdition_Core'
        $source.CmdletsToExport | ForEach-Object { $tags | Should -Contain "PSCmdlet_$_" }
    }
}

Describe 'The package in a folder, with the commands of docs/install.md' {
    BeforeAll {
        . $PSScriptRoot/../Pester/Common.ps1
        $packages = New-Item -ItemType Directory "$TestDrive/packages"
        $image = New-Image "$TestDrive/disk.img" 1MB
        Copy-Item "$root/out/packages/Ublk.$version.nupkg" $packages
        $commands = @{}
        Get-Content "$root/docs/install.md" | Where-Object { $_ -match '^    (\w+)-PSResource' } | ForEach-Object {
            # For this user, whose home is new, and not for all.
            $commands[$Matches[1]] += $_.Replace('/srv/packages', $packages).Replace('VERSION', $version).Replace(' -Scope AllUsers', '')
        }

        # The package of a later version with the same content.
        function New-Successor([string] $Next) {
            Copy-Item "$packages/Ublk.$version.nupkg" "$packages/Ublk.$Next.nupkg"
            $archive = [IO.Compression.ZipFile]::Open("$packages/Ublk.$Next.nupkg", 'Update')
            foreach ($name in 'Ublk.nuspec', 'Ublk.psd1') {
                $reader = [IO.StreamReader]::new($archive.GetEntry($name).Open())
                $text = $reader.ReadToEnd() -replace "(<version>|ModuleVersion += ')$([regex]::Escape($version))", "`${1}$Next"
                $reader.Dispose()
                $archive.GetEntry($name).Delete()
                $writer = [IO.StreamWriter]::new($archive.CreateEntry($name).Open())
                $writer.Write($text)
                $writer.Dispose()
            }
            $archive.Dispose()
        }

        # What a new PowerShell of a user with a home of its own says.
        function Invoke-AtHome([string] $Script) {
            Invoke-Program env --unset=XDG_DATA_HOME --unset=XDG_CACHE_HOME --unset=PSModulePath "HOME=$TestDrive/home" `
                ([Environment]::ProcessPath) -NoProfile -NonInteractive -Command "`$ErrorActionPreference = 'Stop'; $Script"
        }
    }

    It 'is installed, found by name and serves' {
        $said = Invoke-AtHome @"
            $($commands.Register)
            $($commands.Install)
            (Get-Command New-UblkDevice).Module.ModuleBase
            (New-UblkExport '$image' -Name installed).State
            Get-UblkExport installed | Remove-UblkExport
"@
        $said | Should -Be "$TestDrive/home/.local/share/powershell/Modules/Ublk/$version", 'Live'
    }

    It 'is updated beside the former version, which can then be removed' {
        New-Successor 99.0.0
        $said = Invoke-AtHome @"
            $($commands.Update)
            "`$((Get-InstalledPSResource Ublk).Version)"
            $($commands.Uninstall)
            "`$((Get-InstalledPSResource Ublk).Version)"
            (Get-Command New-UblkDevice).Version.ToString()
"@
        $said | Should -Be "99.0.0 $version", '99.0.0', '99.0.0'
    }
}

Describe 'The manifest' {
    It 'is complete' {
        $data = $manifest.PrivateData.PSData
        'Tags', 'LicenseUri', 'ReleaseNotes' | ForEach-Object { $data.$_ | Should -Not -BeNullOrEmpty -Because $_ }
        'Author', 'Description', 'Copyright', 'GUID' | ForEach-Object { $manifest.$_ | Should -Not -BeNullOrEmpty -Because $_ }
        $manifest.CompatiblePSEditions | Should -Be 'Core'
        $manifest.FormatsToProcess + $manifest.TypesToProcess + $manifest.RootModule | ForEach-Object { Test-Path "$folder/$_" | Should -BeTrue -Because $_ }
    }

    It 'exports the cmdlets the assembly has, one by one, and nothing else' {
        Import-Module "$root/out/Ublk"
        (Get-Command -Module Ublk).Name | Sort-Object | Should -Be ($manifest.CmdletsToExport | Sort-Object)
        [AppDomain]::CurrentDomain.GetAssemblies().Where({ $_.GetName().Name -eq 'Ublk.PowerShell' }).GetExportedTypes().Where(
            { $_.IsSubclassOf([Management.Automation.PSCmdlet]) -and -not $_.IsAbstract }).Count | Should -Be $manifest.CmdletsToExport.Count
        'FunctionsToExport', 'VariablesToExport', 'AliasesToExport' | ForEach-Object { @($manifest.$_).Count | Should -Be 0 -Because $_ }
    }

    It 'has the version of the assemblies' {
        Import-Module "$root/out/Ublk"
        [Ublk.UblkError].Assembly.GetName().Version.ToString(3) | Should -Be $version
    }
}
