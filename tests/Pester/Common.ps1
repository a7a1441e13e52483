# What the specs share. Dot-sourced in each file's BeforeAll: imports the module as it would be published.

$ErrorActionPreference = 'Stop'
$root = Split-Path (Split-Path $PSScriptRoot)
$modulePath = Join-Path $root 'out' 'Ublk'
Import-Module $modulePath
if (Get-UblkDevice) {
    throw 'The specs remove every ublk device. Remove yours before running them.'
}

# The first part of an error's id is in UblkError, the second tells the cmdlet.
$new = 'Ublk.PowerShell.Commands.NewUblkDeviceCommand'
$get = 'Ublk.PowerShell.Commands.GetUblkDeviceCommand'
$remove = 'Ublk.PowerShell.Commands.RemoveUblkDeviceCommand'

# Runs a program and returns its lines; a failure is an error that shows them.
function Invoke-Program {
    [string] $program, [object[]] $arguments = $args
    $lines = & $program @arguments 2>&1 | ForEach-Object { "$_" }
    if ($LASTEXITCODE -ne 0) {
        throw "$program $arguments ended with ${LASTEXITCODE}: $($lines -join "`n")"
    }
    $lines
}

# Runs a program that has to fail and returns what it said.
function Invoke-Failure {
    [string] $program, [object[]] $arguments = $args
    $lines = & $program @arguments 2>&1 | ForEach-Object { "$_" }
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

# Everything that is left of devices: workers, nodes, records, links. Nothing, when all is well.
function Get-Leftover {
    pgrep -a -x -r D,R,S,T ublk-worker
    [IO.Directory]::GetFileSystemEntries('/dev', 'ublkb*')
    [IO.Directory]::GetFileSystemEntries('/dev', 'ublkc*')
    foreach ($folder in '/run/ublk', '/dev/disk/by-ublk') {
        if (Test-Path $folder) {
            [IO.Directory]::GetFileSystemEntries($folder)
        }
    }
}

function Remove-AllDevices {
    Get-UblkDevice | Remove-UblkDevice -Force -Confirm:$false
}

# Waits for something that is to come by itself. The bound is generous: it only keeps a failure from lasting for ever.
function Wait-For([scriptblock] $Condition) {
    $end = [DateTime]::UtcNow.AddSeconds(60)
    while (-not (& $Condition)) {
        if ([DateTime]::UtcNow -gt $end) {
            throw "This did not come about: $Condition"
        }
        Start-Sleep -Milliseconds 50
    }
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

# Runs a script in a PowerShell of its own, which knows the module. Returns what it wrote. Slow: use it sparingly.
function Invoke-Shell([string] $Script, [string[]] $As = @()) {
    $command = $As + [Environment]::ProcessPath + '-NoProfile', '-NonInteractive', '-Command', "Import-Module '$modulePath'; $Script"
    [string] $program, [object[]] $arguments = $command
    & $program @arguments 2>&1 | ForEach-Object { "$_" }
}
