# What the documentation has its readers type, and the files that it speaks of.

# The PowerShell of a page.
function Read-Code([string] $File) {
    [regex]::Matches((Get-Content -Raw $File), '(?s)```powershell\n(.*?)\n```') | ForEach-Object { $_.Groups[1].Value }
}

# The examples of the help, by page. Those that have to do with images alone need no driver.
function Read-Example {
    foreach ($page in Get-ChildItem "$PSScriptRoot/../../docs/help/*.md") {
        foreach ($code in Read-Code $page) {
            @{ Page = $page.BaseName; Code = $code; NeedsDriver = $code -match '-Ublk(Device|Feature|Log|Metric|Registration|UdevRule)|/dev/|/mnt|/images' }
        }
    }
}

# Makes every file that is spoken of.
function New-DocumentedFile([string] $Folder) {
    $null = New-Item -ItemType Directory $Folder/disks
    '1.img', '2.img', '3.img', 'disk.img', 'data.img', 'base.img', 'golden.img', 'disks/1.img', 'disks/2.img' |
        ForEach-Object { $null = New-Image $Folder/$_ 16MB }
    $null = New-UblkImage $Folder/base.qcow2 1GB
    $null = New-UblkImage $Folder/work.qcow2 -BackingPath $Folder/base.qcow2 -BackingFormat Qcow2
    'disk', 'plain' | ForEach-Object { $null = New-UblkImage $Folder/$_.qcow2 20GB }
    'before-upgrade', 'monday' | ForEach-Object { $null = Checkpoint-UblkImage $Folder/disk.qcow2 $_ }
    $null = New-Item -ItemType SymbolicLink $Folder/out -Target "$root/out"
    Invoke-Program cp -r --no-preserve=mode "$root/out/documentation/Zero/plugin/." $Folder
}

# Copies them to a new folder, but for what the code makes itself.
function Copy-DocumentedFile([string] $From, [string] $To, [string] $Code) {
    Invoke-Program cp -r --sparse=always $From $To
    Get-ChildItem $To -Filter *.qcow2 | Where-Object { $Code -match "New-UblkImage (-Path )?$($_.Name)" } | Remove-Item
    if ($Code -match '^(Checkpoint|Resize)-UblkImage' -and $Code -notmatch 'Restore-') {
        Move-Item $To/plain.qcow2 $To/disk.qcow2 -Force
    }
}

# Runs code as somebody who types it would, in the caller's scope.
function Invoke-Code([string] $Code) {
    # No user answers a prompt.
    $ConfirmPreference = 'None'
    $PSNativeCommandUseErrorActionPreference = $true
    $errorsBefore = $Error.Count
    $null = . ([scriptblock]::Create($Code)) | Out-String
    $Error.Count | Should -Be $errorsBefore -Because "$($Error | Select-Object -First 1)"
}
