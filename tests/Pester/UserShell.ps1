# Shells of ordinary users, for what root's may not do in their place. Dot-sourced after Common.ps1.

# Where an administrator installs a module for everybody.
$sharedModule = "/usr/local/share/powershell/Modules/Ublk/$((Get-Module Ublk).Version)"

# The PowerShell that runs the specs, for everybody: the folder it is in may be root's alone.
$sharedShell = '/run/ublk-specs'

# Installs both where every user reaches them. Uninstall-ForEverybody undoes it.
function Install-ForEverybody {
    if (Test-Path (Split-Path $sharedModule)) {
        throw "The specs install $sharedModule. Remove the one that is there before running them."
    }
    Invoke-Program install -d -m 755 $sharedShell $sharedModule
    Invoke-Program cp -r "$modulePath/." $sharedModule
    Invoke-Program chmod -R go=u-w $sharedModule
    # Read-only, so that nothing which removes the folder reaches through it.
    Invoke-Program mount --bind -o ro (Split-Path ([Environment]::ProcessPath)) $sharedShell
}

function Uninstall-ForEverybody {
    Invoke-Program umount $sharedShell
    Remove-Item $sharedShell, (Split-Path $sharedModule) -Recurse -Force
}

# A PowerShell that answers until it is ended: to start one takes long.
function Start-UserShell([string] $User) {
    $uid = Invoke-Program id -u $User
    Invoke-Program install -d -m 700 -o $User -g $User "/run/user/$uid" "$TestDrive/$User"
    Invoke-Program chmod 711 /run/user "$TestDrive"
    $loop = "Set-Location '$TestDrive/$User'; Import-Module '$sharedModule/Ublk.psd1'; `$ErrorActionPreference = 'Stop'; " + {
        while ($line = [Console]::In.ReadLine()) {
            $text = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($line))
            $answer = @{ Lines = @(); Error = $null; Message = $null }
            try {
                $answer.Lines = @(. ([scriptblock]::Create($text)) | ForEach-Object { "$_" })
            }
            catch {
                $answer.Error = $_.FullyQualifiedErrorId
                $answer.Message = "$_"
            }
            [Console]::Out.WriteLine((ConvertTo-Json -Compress $answer))
        }
    }
    $start = [Diagnostics.ProcessStartInfo]::new('setpriv')
    foreach ($argument in @(
            "--reuid=$User", "--regid=$User", '--clear-groups', 'env', "XDG_RUNTIME_DIR=/run/user/$uid", "HOME=$TestDrive/$User",
            "$sharedShell/pwsh", '-NoProfile', '-NonInteractive', '-Command', $loop)) {
        $start.ArgumentList.Add($argument)
    }
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    [Diagnostics.Process]::Start($start)
}

# Runs a script in a user's shell: its lines, and its error.
function Send-Script([Diagnostics.Process] $Shell, [string] $Script) {
    $Shell.StandardInput.WriteLine([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($Script)))
    $answer = $Shell.StandardOutput.ReadLine()
    if ($null -eq $answer) {
        $Shell.WaitForExit()
        throw "A user's PowerShell ended with $($Shell.ExitCode)."
    }
    $answer | ConvertFrom-Json
}

function Invoke-AsUser([Diagnostics.Process] $Shell, [string] $Script) {
    $answer = Send-Script $Shell $Script
    if ($answer.Error) {
        throw "$($answer.Error): $($answer.Message)"
    }
    $answer.Lines
}

function Stop-UserShell([Diagnostics.Process] $Shell) {
    $Shell.StandardInput.Close()
    $Shell.WaitForExit()
}
