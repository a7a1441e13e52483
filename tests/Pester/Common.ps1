# What the specs share. Dot-sourced in each file's BeforeAll: imports the module as it would be published.

$ErrorActionPreference = 'Stop'
$root = Split-Path (Split-Path $PSScriptRoot)
. $PSScriptRoot/Kernel.ps1
$modulePath = Join-Path $root 'out' 'Ublk'
Import-Module $modulePath
if (Get-UblkDevice) {
    throw 'The specs remove every ublk device. Remove yours before running them.'
}

# The command ublk, for what only takes another process: it starts in an instant, another PowerShell in many seconds.
$ublk = (Get-Item "$modulePath/worker/linux-*/ublk").FullName

# The first part of an error's id is in UblkError, the second tells the cmdlet.
$new = 'Ublk.PowerShell.Commands.NewUblkDeviceCommand'
$get = 'Ublk.PowerShell.Commands.GetUblkDeviceCommand'
$remove = 'Ublk.PowerShell.Commands.RemoveUblkDeviceCommand'

# Where a program is. PowerShell reads every folder of PATH for each call by name, which takes seconds where that is slow.
$programs = @{}
function Get-Program([string] $Name) {
    if (-not $programs.ContainsKey($Name)) {
        $programs[$Name] = $env:PATH.Split(':') | ForEach-Object { "$_/$Name" } | Where-Object { [IO.File]::Exists($_) } | Select-Object -First 1
    }
    $programs[$Name] ?? $Name
}

# Runs a program and returns its lines; a failure is an error that shows them.
function Invoke-Program {
    [string] $program, [object[]] $arguments = $args
    $file = Get-Program $program
    $lines = & $file @arguments 2>&1 | ForEach-Object { "$_" }
    if ($LASTEXITCODE -ne 0) {
        throw "$program $arguments ended with ${LASTEXITCODE}: $($lines -join "`n")"
    }
    $lines
}

# Runs a program that has to fail and returns what it said.
function Invoke-Failure {
    [string] $program, [object[]] $arguments = $args
    $file = Get-Program $program
    $lines = & $file @arguments 2>&1 | ForEach-Object { "$_" }
    if ($LASTEXITCODE -eq 0) {
        throw "$program $arguments succeeded: $($lines -join "`n")"
    }
    $lines -join "`n"
}

# Makes a file of holes, or of random bytes.
function New-Image([string] $Path, [long] $Size = 32MB, [switch] $Random) {
    $null = Invoke-Program bash -c ($Random ? 'head -c "$1" /dev/urandom > "$0"' : 'truncate -s "$1" "$0"') $Path $Size
    Get-Item -LiteralPath $Path
}

# The worker processes of this module. Another one on the machine may have its own.
function Get-Worker {
    [Diagnostics.Process]::GetProcessesByName('ublk-worker') |
        Where-Object { "$((Get-Item "/proc/$($_.Id)/exe" -ErrorAction Ignore).Target)".StartsWith($modulePath) }
}

# Everything that is left of devices: workers, nodes, records, links. Nothing, when all is well.
function Get-Leftover {
    [Diagnostics.Process]::GetProcessesByName('ublk-worker') | Where-Object { (Get-Content "/proc/$($_.Id)/stat" -ErrorAction Ignore) -match '\) [DRST] ' } |
        ForEach-Object { "process $($_.Id): $((Get-Content "/proc/$($_.Id)/cmdline" -ErrorAction Ignore) -replace "`0", ' ')" }
    [IO.Directory]::GetFileSystemEntries('/dev', 'ublkb*')
    [IO.Directory]::GetFileSystemEntries('/dev', 'ublkc*')
    foreach ($folder in '/run/ublk', '/dev/disk/by-ublk') {
        if (Test-Path $folder) {
            [IO.Directory]::GetFileSystemEntries($folder) | Where-Object { $_ -ne '/run/ublk/lock' }
        }
    }
}

# What the threads of a process may do, each different line once.
function Get-Privilege([int] $Process) {
    Invoke-Program bash -c 'grep -hE "^(Cap|NoNewPrivs)" /proc/$0/task/*/status | tr -s "\t" " " | LC_ALL=C sort -u' $Process
}

# That of root's worker: CAP_DAC_OVERRIDE, CAP_IPC_LOCK, CAP_SYS_ADMIN and CAP_SYS_RESOURCE (linux/capability.h).
$none, $few = '0000000000000000', '0000000001204002'
$workerPrivilege = "CapAmb: $none", "CapBnd: $few", "CapEff: $few", "CapInh: $none", "CapPrm: $few", 'NoNewPrivs: 1'

function Remove-EveryDevice {
    Get-UblkDevice | Remove-UblkDevice -Force
}

# Waits for something that is to come by itself. The bound is generous: it only keeps a failure from lasting for ever.
function Wait-For([scriptblock] $Condition, [int] $Seconds = 60) {
    $end = [DateTime]::UtcNow.AddSeconds($Seconds)
    while (-not (& $Condition)) {
        if ([DateTime]::UtcNow -gt $end) {
            throw "This did not come about: $Condition"
        }
        Start-Sleep -Milliseconds 50
    }
}

# Kills a device's worker, and waits until the driver knows.
function Stop-Worker([int] $Id = (Get-UblkDevice).Id) {
    Invoke-Program env kill -KILL (Get-UblkDevice $Id).ProcessId
    Wait-For { (Get-UblkDevice $Id).State -ne 'Live' }
}

# Writes, and verifies soon after, in the background until Stop-Fio, so that there are requests in flight. It pauses between bursts,
# so that the specs get processor time.
function Start-Fio([string] $Device, [string[]] $More) {
    $rest = $env:UBLK_SOAK ? @() : '--thinktime=50ms', '--thinktime_blocks=64'
    Start-Process fio -PassThru -RedirectStandardOutput "$TestDrive/fio.out" -RedirectStandardError "$TestDrive/fio.err" -ArgumentList (@(
            '--name=a', "--filename=$Device", '--ioengine=io_uring', '--direct=1', '--rw=randwrite', '--bsrange=4k-64k',
            '--iodepth=16', '--size=8M', '--time_based', '--runtime=600', '--verify=xxhash', '--verify_backlog=128', '--verify_fatal=1') +
        $rest + $More)
}

# Ends fio, which must have been content until then. It then exits with 128.
function Stop-Fio($Process) {
    if (-not $Process.HasExited) {
        Invoke-Program env kill -INT $Process.Id
    }
    $Process.WaitForExit(120000) | Should -BeTrue
    $Process.ExitCode | Should -Be 128 -Because ((Get-Content "$TestDrive/fio.out", "$TestDrive/fio.err") -join "`n")
    Get-Content -Raw "$TestDrive/fio.out" | Should -Match 'err= 0'
}

# Waits until fio has ended. It must be content, unless a disk was taken from it.
function Wait-Fio($Process, [switch] $Fails) {
    $Process.WaitForExit(120000) | Should -BeTrue
    ($Process.ExitCode -ne 0) | Should -Be ([bool] $Fails) -Because ((Get-Content "$TestDrive/fio.out", "$TestDrive/fio.err") -join "`n")
}

# Chance for the specs under fire. The seed is new with each run unless UBLK_SEED has one.
function New-Chance {
    $seed = [int] ($env:UBLK_SEED ?? (Get-Random))
    Write-Host "    seed $seed"
    [Random]::new($seed)
}

# A PowerShell in this process, which knows the module, for what runs beside the specs.
function New-Shell([string] $Script) {
    [powershell]::Create([initialsessionstate]::CreateDefault2()).AddScript("Import-Module '$modulePath'; $Script")
}

# Starts another process that is a PowerShell, and returns it once it has the module and begins with a script. Slow: use it sparingly.
function Start-Shell([string] $Script) {
    $name = "$TestDrive/shell-$([Guid]::NewGuid().ToString('N'))"
    $process = Start-Process ([Environment]::ProcessPath) -PassThru -RedirectStandardOutput "$name.out" -RedirectStandardError "$name.err" `
        -ArgumentList '-NoProfile', '-NonInteractive', '-Command', "`"Import-Module '$modulePath'; '' > '$name.ready'; $Script`""
    Wait-For { Test-Path "$name.ready" } -Seconds 600
    $process
}

# Puts a script in the worker's place while an action runs. In the script, $real is the worker.
function Use-Worker([string] $Script, [scriptblock] $Action) {
    $real = Join-Path $TestDrive 'real-worker'
    $fake = Join-Path $TestDrive 'fake-worker'
    $name = Get-ChildItem "$modulePath/worker" -Filter 'linux-*' | ForEach-Object Name
    Remove-Item $fake, $real -Recurse -Force -ErrorAction Ignore
    $null = New-Item -ItemType Directory "$fake/$name"
    Copy-Item "$modulePath/worker" $real -Recurse
    if ($Script) {
        Set-Content "$fake/$name/ublk-worker" "#!/bin/bash`nreal=$real/$name/ublk-worker`n$Script`n"
        Invoke-Program chmod +x "$fake/$name/ublk-worker"
    }
    Invoke-Program mount --bind $fake "$modulePath/worker"
    try {
        & $Action
    }
    finally {
        Invoke-Program umount "$modulePath/worker"
    }
}

# Runs a script in another process that is a PowerShell and knows the module. Returns what it wrote. As slow.
function Invoke-Shell([string] $Script) {
    & ([Environment]::ProcessPath) -NoProfile -NonInteractive -Command "Import-Module '$modulePath'; $Script" 2>&1 | ForEach-Object { "$_" }
}
