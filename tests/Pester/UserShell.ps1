# Shells of ordinary users, for what root's may not do in their place. Dot-sourced after Common.ps1.

# A PowerShell that answers until it is ended: to start one takes long.
function Start-UserShell([string] $User) {
    $uid = Invoke-Program id -u $User
    $null = New-Item -ItemType Directory -Force "/run/user/$uid", "$TestDrive/$User"
    Invoke-Program chown "${User}:$User" "/run/user/$uid" "$TestDrive/$User"
    Invoke-Program chmod 700 "/run/user/$uid"
    Invoke-Program chmod 711 "$TestDrive"
    $loop = "Set-Location '$TestDrive/$User'; Import-Module '$modulePath'; `$ErrorActionPreference = 'Stop'; " + {
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
            [Environment]::ProcessPath, '-NoProfile', '-NonInteractive', '-Command', $loop)) {
        $start.ArgumentList.Add($argument)
    }
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    [Diagnostics.Process]::Start($start)
}

# Runs a script in a user's shell: its lines, and its error.
function Send-Script([Diagnostics.Process] $Shell, [string] $Script) {
    $Shell.StandardInput.WriteLine([Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($Script)))
    $Shell.StandardOutput.ReadLine() | ConvertFrom-Json
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
