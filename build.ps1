#Requires -Version 7.6
<#
.SYNOPSIS
Builds, tests, shows, measures and packs the module.
.DESCRIPTION
Build   the module in out/Ublk, as it would be published
Test    the unit tests, then the specs against the kernel's driver: this machine's own if it has one, else a VM's
Soak    the specs under fire, again and again with another seed, for -Minutes
Demo    a session that makes a disk of an image, uses it and removes it
Bench   side-by-side measurements
Count   instructions that a worker spends on a request, compared with the counts of bench/instructions.json; -Accept replaces these
Pack    the module as the package a gallery takes, as Debian packages and tarballs, the engine and a template as NuGet packages, for
        x64 and arm64; bills of materials, release notes and checksums; in out/packages. "Pack x64" leaves arm64 out
Arm64   the Debian package and the module for arm64 on emulated machines, with pages of 4 and of 16 KiB
Clean   removes everything generated
.EXAMPLE
./build.sh Test
.EXAMPLE
./build.sh Soak -Minutes 30
#>
[CmdletBinding()]
param(
    [Parameter(Position = 0)]
    [ValidateSet('Build', 'Test', 'Soak', 'Demo', 'Bench', 'Count', 'Pack', 'Arm64', 'Clean')]
    [string] $Task = 'Build',

    [ValidateSet('Release', 'Debug')]
    [string] $Configuration = 'Release',

    # How long Soak goes on.
    [int] $Minutes = 60,

    # x64 for Pack. Passed to the script behind Soak, Demo, Bench or Count.
    [Parameter(ValueFromRemainingArguments)]
    [string[]] $Arguments = @()
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
$out = Join-Path $PSScriptRoot 'out'
$module = Join-Path $out 'Ublk'
$portable = Join-Path $out 'portable/Ublk'
$staging = Join-Path $out 'staging'
$samples = 'samples/demo-null', 'samples/demo-event', 'samples/demo-ram'
$steps = [Collections.Generic.List[object]]::new()

function New-Step([string] $Name) {
    [pscustomobject]@{ Step = $Name; Passed = $null; Failed = $null; Skipped = $null; Seconds = ''; Failures = @(); Slowest = @() }
}

function Complete-Step($Step, [timespan] $Time) {
    $Step.Seconds = '{0,7:F1}' -f $Time.TotalSeconds
    $steps.Add($Step)
}

# Runs one step under a heading, and remembers how long it took and what it counted.
function Invoke-Step([string] $Name, [scriptblock] $Action) {
    Write-Host "==> $Name"
    $clock = [Diagnostics.Stopwatch]::StartNew()
    $step = New-Step $Name
    . $Action
    Complete-Step $step $clock.Elapsed
}

function Invoke-DotNet {
    dotnet @args --configuration $Configuration --verbosity quiet --tl:off -clp:NoSummary -maxcpucount:2 -nodeReuse:false | Out-Host
}

#region Build

# NativeAOT links with clang or gcc.
function Install-Linker {
    Install-AptPackage @(
        if (-not (Get-Command clang, gcc -ErrorAction Ignore)) { 'gcc', 'libc6-dev' }
        if (-not (Test-Path '/usr/include/zlib.h')) { 'zlib1g-dev' }
    )
}

function Install-AptPackage([string[]] $Missing) {
    if ($Missing) {
        Write-Host "    installing $Missing"
        $asRoot = @(if ((id -u) -ne 0) { 'sudo' }) + 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '--quiet=2'
        $command, $options = $asRoot
        & $command $options update
        & $command $options install --yes --no-install-recommends $Missing | Out-Null
    }
}

# What was published last, if nothing it is made of has changed since.
function Test-ModuleIsCurrent([string] $Stamp) {
    if (-not (Test-Path $Stamp) -or (Get-Content $Stamp) -ne $Configuration) {
        return $false
    }
    $sources = 'src', 'docs', 'tools/HelpBuilder', 'Ublk.psd1', 'CHANGELOG.md', 'LICENSE', 'Directory.Build.props', 'Directory.Build.targets',
        'Directory.Packages.props', 'global.json' |
        ForEach-Object { Join-Path $PSScriptRoot $_ } | Where-Object { Test-Path $_ }
    # Asked for a file with -Recurse, Get-ChildItem also finds its namesakes in the folders beside it, such as those in out.
    $newest = Get-Item $sources | ForEach-Object { $_.PSIsContainer ? (Get-ChildItem $_ -Recurse -File) : $_ } |
        Where-Object FullName -NotMatch '/(bin|obj)/' | Sort-Object LastWriteTimeUtc | Select-Object -Last 1
    $newest.LastWriteTimeUtc -lt (Get-Item $Stamp).LastWriteTimeUtc
}

# The manifest with its version's part of the changelog.
function Get-StagedManifest {
    $manifest = Get-Content -Raw "$PSScriptRoot/Ublk.psd1"
    $version = (Import-PowerShellDataFile "$PSScriptRoot/Ublk.psd1").ModuleVersion
    $notes = [regex]::Match((Get-Content -Raw "$PSScriptRoot/CHANGELOG.md"), "(?ms)^## $([regex]::Escape($version))\b[^\n]*\n(.*?)(?=^## |\z)")
    if (-not $notes.Success) {
        throw "CHANGELOG.md says nothing of version $version."
    }
    $manifest.Replace("ReleaseNotes = ''", "ReleaseNotes = '$($notes.Groups[1].Value.Trim().Replace("'", "''"))'")
}

function Build-Module {
    $stamp = Join-Path $out 'Ublk.stamp'
    if (Test-ModuleIsCurrent $stamp) {
        Write-Host '    out/Ublk is up to date'
        return
    }

    Install-Linker
    Remove-Item $staging -Recurse -Force -ErrorAction Ignore
    $source = Join-Path $PSScriptRoot 'src'
    Invoke-DotNet publish "$source/Ublk.PowerShell" --output "$staging/powershell" --runtime linux-x64 --no-self-contained
    foreach ($program in 'Ublk.Worker', 'Ublk.Command') {
        Invoke-DotNet publish "$source/$program" --output "$staging/native" --runtime linux-x64
    }
    Invoke-DotNet build "$source/Ublk.Worker" --output "$staging/portable"
    Invoke-DotNet build "$PSScriptRoot/tools/HelpBuilder"

    $new = Join-Path $staging 'Ublk'
    $null = New-Item -ItemType Directory "$new/bin", "$new/worker/portable", "$new/worker/linux-x64"
    Copy-Item "$PSScriptRoot/LICENSE", "$source/Ublk.PowerShell/Module/*" $new -Recurse
    Set-Content "$new/Ublk.psd1" (Get-StagedManifest) -NoNewline
    Copy-Item "$staging/powershell/Ublk.*.dll" "$new/bin"
    Copy-Item "$staging/native/ublk-worker", "$staging/native/ublk" "$new/worker/linux-x64"
    Copy-Item "$staging/portable/*.dll", "$staging/portable/*.runtimeconfig.json" "$new/worker/portable"
    # The engine that carries code.
    Copy-Item "$new/bin/Ublk.Engine.dll" "$new/worker/portable"
    $documentation = (Import-PowerShellDataFile "$PSScriptRoot/Ublk.psd1").PrivateData.DocumentationUri
    dotnet "$PSScriptRoot/tools/HelpBuilder/bin/$Configuration/net10.0/Ublk.HelpBuilder.dll" "$PSScriptRoot/docs" "$new/en-US" $documentation | Out-Host
    Remove-Item $module, $portable -Recurse -Force -ErrorAction Ignore
    Move-Item $new $module

    # Compiled assemblies are refused by machines of another architecture: what is for all has those that were not compiled yet.
    $null = New-Item -ItemType Directory -Force (Split-Path $portable)
    Copy-Item $module $portable -Recurse
    $assemblies = "$source/Ublk.PowerShell/bin/$Configuration/net10.0/linux-x64"
    Copy-Item "$assemblies/Ublk.*.dll" "$portable/bin"
    Copy-Item "$assemblies/Ublk.Engine.dll" "$portable/worker/portable"
    Set-Content $stamp $Configuration
}

#endregion
#region Pack

# The programs for arm64, in the portable module. To compile them takes a minute, so only packages have them.
function Add-Arm64Program {
    $programs = "$portable/worker/linux-arm64"
    if (Test-Path $programs) {
        return
    }
    Install-AptPackage @(
        if (-not (Get-Command aarch64-linux-gnu-gcc -ErrorAction Ignore)) { 'gcc-aarch64-linux-gnu', 'libc6-dev-arm64-cross' }
    )
    foreach ($program in 'Ublk.Worker', 'Ublk.Command') {
        Invoke-DotNet publish "$PSScriptRoot/src/$program" --output "$staging/arm64" --runtime linux-arm64
    }
    $null = New-Item -ItemType Directory "$programs.partial"
    Copy-Item "$staging/arm64/ublk-worker", "$staging/arm64/ublk" "$programs.partial"
    Move-Item "$programs.partial" $programs
}

# The engine with its workers, for programs and plug-ins, and the template for a target.
function New-EnginePackage {
    foreach ($project in 'src/Ublk.Engine', 'templates') {
        Invoke-DotNet pack (Join-Path $PSScriptRoot $project) --output "$out/packages"
    }
}

# The module as a gallery keeps it: what Publish-PSResource -NupkgPath, or a folder that is registered as a repository, takes.
function New-ModulePackage {
    $manifest = Import-PowerShellDataFile "$portable/Ublk.psd1"
    $data = $manifest.PrivateData.PSData
    $tags = @('PSModule') + $data.Tags + @('PSIncludes_Cmdlet') + ($manifest.CmdletsToExport | ForEach-Object { "PSCmdlet_$_"; "PSCommand_$_" })
    $escape = { [Security.SecurityElement]::Escape($args[0]) }
    Set-Content "$out/Ublk.nuspec" @"
<?xml version="1.0" encoding="utf-8"?>
<package xmlns="http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd">
  <metadata>
    <id>Ublk</id>
    <version>$($manifest.ModuleVersion)</version>
    <authors>$(& $escape $manifest.Author)</authors>
    <owners>$(& $escape $manifest.CompanyName)</owners>
    <license type="expression">MIT</license>
    <description>$(& $escape $manifest.Description)</description>
    <releaseNotes>$(& $escape $data.ReleaseNotes)</releaseNotes>
    <copyright>$(& $escape $manifest.Copyright)</copyright>
    <tags>$(& $escape ($tags -join ' '))</tags>
  </metadata>
  <files>
    <file src="portable/Ublk/**" target="" />
  </files>
</package>
"@
    # Its warnings are for libraries: the assemblies are where the module's manifest wants them.
    dotnet pack "$out/Ublk.nuspec" --output "$out/packages" 2>&1 | Where-Object { "$_" -notlike "*'lib' folder*" } | Out-Host
}

# The package of the programs depends on the libc that readelf sees in them.
function New-DebianPackage([string] $Module = $module, [string] $Platform = 'linux-x64') {
    Install-Binutils
    & "$PSScriptRoot/packaging/New-DebianPackage.ps1" -Module $Module -Platform $Platform -Destination "$out/packages"
}

function Install-Binutils {
    Install-AptPackage @(if (-not (Get-Command objdump -ErrorAction Ignore)) { 'binutils' })
}

# What is in each program, as CycloneDX; the build has restored the packages.
function New-Sbom {
    $version = (Import-PowerShellDataFile "$PSScriptRoot/Ublk.psd1").ModuleVersion
    Push-Location $PSScriptRoot
    try {
        dotnet tool restore --verbosity quiet | Out-Host
        foreach ($project in 'Ublk.Command', 'Ublk.Worker', 'Ublk.PowerShell') {
            dotnet tool run dotnet-CycloneDX -- "src/$project/$project.csproj" --output "$out/packages" --filename "$project-$version.cdx.json" `
                --output-format Json --disable-package-restore --include-project-references --set-name $project --set-version $version | Out-Null
        }
    }
    finally {
        Pop-Location
    }
}

# In the format of sha256sum --check.
function Write-Checksum {
    Get-ChildItem "$out/packages" -File | ForEach-Object { "$((Get-FileHash $_.FullName).Hash.ToLowerInvariant())  $($_.Name)" } |
        Set-Content "$out/packages/SHA256SUMS"
}

#endregion
#region Scripts that need the driver

# Returns the command that runs a script of this project as root where the driver is; what it writes to $UBLK_RESULTS lands in $Results.
function Get-DriverCommand([string] $Script, [string[]] $Parameters, [string] $Results, [string[]] $VM = @()) {
    $null = New-Item -ItemType Directory -Force $Results
    $command = @([Environment]::ProcessPath, '-NoProfile', '-NonInteractive', '-File', (Join-Path $PSScriptRoot $Script)) + $Parameters
    if ((Test-Path '/dev/ublk-control') -and '--icount' -notin $VM) {
        $command = @(if ((id -u) -ne 0) { 'sudo' }) + @('env', "UBLK_RESULTS=$Results") + $command
    }
    else {
        $command = @((Join-Path $PSScriptRoot 'tests/vm/run.sh')) + $VM + @('--results', $Results, '--') + $command
    }
    $command
}

# Runs such a command and returns its exit status.
function Invoke-WithDriver {
    $PSNativeCommandUseErrorActionPreference = $false
    $program, $options = Get-DriverCommand @args
    & $program $options | Out-Host
    $LASTEXITCODE
}

function Initialize-Driver([string[]] $VM = @()) {
    if (-not (Test-Path '/dev/ublk-control') -or '--icount' -in $VM) {
        Invoke-Step 'The VM' { & (Join-Path $PSScriptRoot 'tests/vm/setup.sh') | Out-Host }
    }
}

#endregion
#region Test

# A run that left no counts has failed, however it ended.
function Add-Count($Step, [string] $File, [int] $ExitStatus, [scriptblock] $Read) {
    $counts = if (Test-Path $File) { Get-Content -Raw $File | ConvertFrom-Json | ForEach-Object $Read }
    if (-not $counts) {
        Write-Host "    no result was written to $File"
    }
    $Step.Passed, $Step.Failed, $Step.Skipped = [int] $counts.passed, [int] $counts.failed, [int] $counts.skipped
    $Step.Failures = @($counts.failures)
    $Step.Slowest = @($counts.slowest)
    if ($Step.Failed -eq 0 -and ($ExitStatus -ne 0 -or $Step.Passed -eq 0)) {
        $Step.Failures = @("exit status $ExitStatus, $($Step.Passed) passed")
        $Step.Failed = 1
    }
}

function Test-Unit {
    $results = "$out/results/unit.json"
    # Judges of the images that the tests make, and servers of disks.
    Install-AptPackage @(
        if (-not (Get-Command qemu-img -ErrorAction Ignore)) { 'qemu-utils' }
        'nbdkit', 'nbd-server', 'ceph-mon', 'ceph-osd' | Where-Object { -not (Get-Command $_ -ErrorAction Ignore) }
        if (-not (Get-Command rbd -ErrorAction Ignore)) { 'ceph-common' }
        if (-not (Get-Command nbdinfo -ErrorAction Ignore)) { 'libnbd-bin' }
    )
    # The others only show here that they still build.
    foreach ($project in 'tests/Unit', 'bench/Micro', 'bench/Client', 'bench/Plot') {
        Invoke-DotNet build (Join-Path $PSScriptRoot $project)
    }
    $PSNativeCommandUseErrorActionPreference = $false
    dotnet "$PSScriptRoot/tests/Unit/bin/$Configuration/net10.0/Ublk.Tests.dll" -noLogo -noColor -result-ctrf $results | Out-Host
    Add-Count $step $results $LASTEXITCODE {
        $summary, $tests = $_.results.summary, $_.results.tests
        $failures = $tests | Where-Object status -EQ failed | ForEach-Object { "$($_.name): $($_.message)" }
        @{ passed = $summary.passed; failed = $summary.failed; skipped = $summary.skipped; failures = $failures }
    }
}

# Pester in out/pester, both versions of it that the specs run under.
function Install-Pester {
    dotnet msbuild "$PSScriptRoot/tests/Pester" -restore -target:CopyPester -verbosity:quiet -tl:off -nodeReuse:false | Out-Host
}

# The samples, and what the documentation has typed in a shell and written in C#, packages included; its PowerShell is a spec.
# It passes or fails as a whole.
function Test-Documentation {
    foreach ($project in $samples) {
        Invoke-DotNet build (Join-Path $PSScriptRoot $project)
    }
    $PSNativeCommandUseErrorActionPreference = $false
    & "$PSScriptRoot/tests/documentation.sh" "$out/documentation" | Out-Host
    $step.Passed, $step.Failed = [int] ($LASTEXITCODE -eq 0), [int] ($LASTEXITCODE -ne 0)
    $step.Skipped = 0
    $step.Failures = @(if ($step.Failed) { "exit status $LASTEXITCODE" })
}

# Specs that need no driver.
function Test-Package([string] $Pester) {
    $PSNativeCommandUseErrorActionPreference = $false
    $env:UBLK_RESULTS = "$out/results/package-$Pester"
    $null = New-Item -ItemType Directory -Force $env:UBLK_RESULTS
    & ([Environment]::ProcessPath) -NoProfile -NonInteractive -File "$PSScriptRoot/tests/Pester/Invoke-Specs.ps1" `
        -Path "$PSScriptRoot/tests/Module" -Pester $Pester | Out-Host
    Add-Count $step "$env:UBLK_RESULTS/specs.json" $LASTEXITCODE { $_ }
}

function Test-Specs([string] $Name, [string[]] $Filter, [string[]] $VM) {
    $results = "$out/results/$Name"
    $status = Invoke-WithDriver 'tests/Pester/Invoke-Specs.ps1' $Filter $results ($VM + @('--timeout', '3000'))
    Add-Count $step "$results/specs.json" $status { $_ }
}

# Starts specs in a VM beside the next steps: a VM keeps one processor busy, not two. Complete-Specs waits for them and shows their output.
function Start-Specs([string] $Title, [string] $Name, [string[]] $Filter, [string[]] $VM) {
    Write-Host "==> $Title (in the background)"
    $results = "$out/results/$Name"
    $command = Get-DriverCommand 'tests/Pester/Invoke-Specs.ps1' $Filter $results ($VM + @('--timeout', '3000'))
    $job = 1 | ForEach-Object -AsJob -Parallel {
        $program, $options = $using:command
        & $program $options *> "$using:results/output.log"
        $LASTEXITCODE
    }
    @{ Title = $Title; Results = $results; Job = $job }
}

function Complete-Specs($Specs) {
    Write-Host "==> $($Specs.Title)"
    $step = New-Step $Specs.Title
    $job = $Specs.Job
    $status = $job | Wait-Job | Receive-Job
    Get-Content "$($Specs.Results)/output.log" | Out-Host
    Add-Count $step "$($Specs.Results)/specs.json" $status { $_ }
    Complete-Step $step ($job.PSEndTime - $job.PSBeginTime)
}

function Test-Module {
    Remove-Item "$out/results" -Recurse -Force -ErrorAction Ignore
    $null = New-Item -ItemType Directory "$out/results"
    Install-Pester
    # First, because specs use what it builds.
    Invoke-Step 'Samples and programs of the documentation' { Test-Documentation }
    if (Test-Path '/dev/ublk-control') {
        $filter = if (Test-Path '/run/systemd/system') { @() } else { '-ExcludeTagFilter', 'Systemd' }
        Test-Host
        Invoke-Step "Specs on this machine's driver" { Test-Specs own $filter }
    }
    else {
        Initialize-Driver
        $specs = Start-Specs 'Specs on kernel 7.3, Pester 5' kernel-7.3 @('-ExcludeTagFilter', 'Systemd') @('--kernel', '7.3')
        Test-Host
        Invoke-Step 'Core specs on kernel 6.12, Pester 6' {
            Test-Specs kernel-6.12 @('-TagFilter', 'Core', '-Pester', 'next') @('--kernel', '6.12')
        }
        Invoke-Step 'Specs under systemd, Pester 6' {
            Test-Specs systemd @('-TagFilter', 'Systemd', '-Pester', 'next') @('--kernel', '7.3', '--systemd')
        }
        Complete-Specs $specs
    }
}

# The machine is emulated everywhere: it is one of another architecture.
function Test-Arm64([string] $Kernel) {
    $PSNativeCommandUseErrorActionPreference = $false
    $version = (Import-PowerShellDataFile "$PSScriptRoot/Ublk.psd1").ModuleVersion
    $results = "$out/results/$Kernel"
    & "$PSScriptRoot/tests/vm/run.sh" --kernel $Kernel --memory 2G --results $results -- `
        tests/arm64.sh "out/packages/ublk_${version}_arm64.deb" out/pwsh-arm64/pwsh out/portable/Ublk | Out-Host
    Add-Count $step "$results/specs.json" $LASTEXITCODE { $_ }
}

# A table to read, with warnings: no result of it fails.
function Measure-Instruction([string[]] $Arguments = @()) {
    Install-AptPackage @(if (-not (Get-Command valgrind -ErrorAction Ignore)) { 'valgrind' })
    Install-Binutils
    Invoke-DotNet publish "$PSScriptRoot/bench/Instructions" --output "$staging/instructions" --runtime linux-x64
    & "$PSScriptRoot/bench/Count-Instructions.ps1" "$staging/instructions/Ublk.Instructions" "$out/instructions" -Accept:('-Accept' -in $Arguments)
}

# What needs no driver.
function Test-Host {
    Invoke-Step 'Unit tests' { Test-Unit }
    Invoke-Step 'Instructions per request' { Measure-Instruction }
    New-ModulePackage
    # Specs check the packages with lintian, which refuses the name of a machine without a domain.
    Install-AptPackage @(if (-not (Get-Command lintian -ErrorAction Ignore)) { 'lintian' })
    $env:DEBEMAIL ??= 'packages@example.org'
    New-DebianPackage
    Invoke-Step 'Specs of the package, Pester 5' { Test-Package current }
    Invoke-Step 'Specs of the package, Pester 6' { Test-Package next }
}

#endregion

$status = 0
if ($Task -ne 'Clean') {
    Invoke-Step 'Build' { Build-Module }
}
switch ($Task) {
    'Test' {
        Test-Module
    }
    'Soak' {
        Install-Pester
        Initialize-Driver
        $patience = @('--timeout', ($Minutes * 60 + 1800))
        Invoke-Step 'Soak' {
            $script:status = Invoke-WithDriver 'tests/Pester/Invoke-Soak.ps1' (@('-Minutes', $Minutes) + $Arguments) "$out/soak" $patience
        }
    }
    'Demo' {
        Initialize-Driver
        Invoke-Step 'Demo' { $script:status = Invoke-WithDriver 'samples/Demo.ps1' $Arguments "$out/demo" }
    }
    'Bench' {
        # Only an emulated machine's clock can count instructions.
        $machine = @(if ('-Instructions' -in $Arguments) { '--icount' })
        Initialize-Driver $machine
        Invoke-Step 'Bench' { $script:status = Invoke-WithDriver 'bench/Invoke-Bench.ps1' $Arguments "$out/bench" $machine }
        if ($status -eq 0) {
            Invoke-Step 'Plots' {
                Invoke-DotNet build "$PSScriptRoot/bench/Plot"
                dotnet "$PSScriptRoot/bench/Plot/bin/$Configuration/net10.0/Ublk.Plot.dll" "$out/bench/results.json" "$out/bench/plots"
            }
        }
    }
    'Count' {
        Invoke-Step 'Instructions per request' { Measure-Instruction $Arguments }
    }
    'Pack' {
        Remove-Item "$out/packages" -Recurse -Force -ErrorAction Ignore
        $isForAll = 'x64' -notin $Arguments
        if ($isForAll) {
            Invoke-Step 'Programs for arm64' { Add-Arm64Program }
        }
        Invoke-Step 'Packages' {
            New-ModulePackage
            New-EnginePackage
            New-DebianPackage
            if ($isForAll) {
                New-DebianPackage $portable linux-arm64
            }
            foreach ($package in Get-Item "$out/packages/ublk_*.deb") {
                & "$PSScriptRoot/packaging/New-Tarball.ps1" -Package $package.FullName -Destination "$out/packages"
            }
            New-Sbom
            # The release notes are those of the manifest, which are the version's part of the changelog.
            Set-Content "$out/packages/RELEASE-NOTES.md" (Import-PowerShellDataFile "$module/Ublk.psd1").PrivateData.PSData.ReleaseNotes
            Write-Checksum
            Get-ChildItem "$out/packages" | ForEach-Object { Write-Host "    $_" }
        }
    }
    'Arm64' {
        $kernels = '7.3-arm64', '7.3-arm64-16k'
        Invoke-Step 'Programs for arm64' { Add-Arm64Program }
        Invoke-Step 'Packages' {
            $null = New-Item -ItemType Directory -Force "$out/packages"
            New-DebianPackage $portable linux-arm64
        }
        Invoke-Step 'PowerShell for arm64' {
            Invoke-DotNet publish "$PSScriptRoot/tools/Pwsh" --output "$out/pwsh-arm64" --runtime linux-arm64 --self-contained
        }
        Invoke-Step 'The VM' { & "$PSScriptRoot/tests/vm/setup.sh" $kernels | Out-Host }
        foreach ($kernel in $kernels) {
            Invoke-Step "The package on kernel $kernel" { Test-Arm64 $kernel }
        }
    }
    'Clean' {
        Get-ChildItem "$PSScriptRoot/*/*/*" -Directory | Where-Object Name -In 'bin', 'obj' | Remove-Item -Recurse -Force
        Remove-Item $out -Recurse -Force
        exit 0
    }
}

$runs = $steps | Where-Object Passed -NE $null
$columns = if ($runs) { 'Step', 'Passed', 'Failed', 'Skipped', 'Seconds' } else { 'Step', 'Seconds' }
$steps | Format-Table $columns -AutoSize
if ($runs) {
    $steps.Slowest | Sort-Object seconds -Descending | Select-Object -First 10 |
        Format-Table @{ Name = 'Seconds'; Expression = 'seconds'; FormatString = 'F1' }, @{ Name = 'The ten slowest specs'; Expression = 'name' }
    # Once more where they are not to be searched for.
    foreach ($step in $steps) {
        $step.Failures | Where-Object { $_ } | ForEach-Object { "$($step.Step): $_" }
    }
    $total = foreach ($count in 'Passed', 'Failed', 'Skipped') { ($runs | Measure-Object $count -Sum).Sum }
    '{0} passed, {1} failed, {2} skipped' -f $total
    $status = $total[1]
}
exit [Math]::Min(1, $status)
