#Requires -Version 7.6
<#
.SYNOPSIS
Counts the instructions that a worker's queue spends on a request, and compares them with the counts of bench/instructions.json.
.DESCRIPTION
The program of bench/Instructions serves 4 KiB requests from each target, under valgrind's callgrind. A double of the
ring simulates the kernel and the driver; its instructions are not counted. A count that grew by more than 5 % is a warning.
.PARAMETER Program
The program, compiled ahead of time.
.PARAMETER Directory
A folder for the disks' files and the profiles, on a file system with a page cache of its own (not tmpfs).
.PARAMETER Accept
Makes the counts those to compare with from now on.
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [string] $Program,
    [Parameter(Mandatory)] [string] $Directory,
    [switch] $Accept
)

$ErrorActionPreference = 'Stop'
$PSNativeCommandUseErrorActionPreference = $true
$requests = 10000
$known = "$PSScriptRoot/instructions.json"
$loop = 'Ublk_Engine_Ublk_Serving_QueueLoop__Run'
$kernel = 'Ublk_Instructions_Ublk_Tests_Serving_RingDouble__EnterKernel'

# The instructions in a profile, without those of the ring's double: the cost of a line, or of a call with all that it calls.
function Get-Count([string] $File) {
    $names = @{}
    $total = $inside = 0
    $callee = $null
    switch -Regex -File $File {
        '^c?fn=\((\d+)\) (.+)' { $names[$Matches[1]] = $Matches[2] }
        '^cfn=\((\d+)\)' { $callee = $Matches[1] }
        '^totals: (\d+)' { $total = [long] $Matches[1] }
        '^[-+*\d]\S* (\d+)$' {
            if ($callee -and $names[$callee] -eq $kernel) {
                $inside += [long] $Matches[1]
            }
            $callee = $null
        }
    }
    $total - $inside
}

$null = New-Item -ItemType Directory -Force $Directory
Remove-Item "$Directory/callgrind.*"
# Its reader does not know the newest debug information, and needs only the symbols.
Copy-Item $Program "$Directory/program"
strip --strip-debug "$Directory/program"
$cases = valgrind --tool=callgrind --quiet "--toggle-collect=$loop" "--dump-after=$loop" "--callgrind-out-file=$Directory/callgrind" `
    "$Directory/program" $Directory $requests
$before = (Test-Path $known) ? (Get-Content -Raw $known | ConvertFrom-Json -AsHashtable) : @{}
$counts = [ordered] @{}
for ($index = 0; $index -lt $cases.Count; $index++) {
    $counts[$cases[$index]] = [Math]::Round((Get-Count "$Directory/callgrind.$($index + 1)") / $requests, 1)
}

$counts.GetEnumerator() | ForEach-Object {
    $last = $before[$_.Key]
    [pscustomobject]@{
        Requests = $_.Key
        Instructions = '{0,12:F1}' -f $_.Value
        Last = $last ? ('{0,8:F1}' -f $last) : ''
        Ratio = $last ? ('{0,5:F3}' -f ($_.Value / $last)) : ''
    }
} | Format-Table | Out-Host
$counts.Keys | Where-Object { $before[$_] -and $counts[$_] -gt 1.05 * $before[$_] } | ForEach-Object {
    Write-Host "WARNING: $_ takes $($counts[$_]) instructions a request, formerly $($before[$_])."
}
if ($Accept) {
    ConvertTo-Json $counts | Set-Content $known
}
