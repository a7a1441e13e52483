#Requires -Version 7.6
<#
.SYNOPSIS
Shows whether a machine is ready for measurements: what makes samples differ, or slower than the hardware is.
.DESCRIPTION
Reads procfs and sysfs and changes nothing. Each line has the advice for what is not ready. A machine that is not ready can be measured all
the same; Invoke-Bench.ps1 puts these lines into its report.
.EXAMPLE
bench/Test-Machine.ps1 | Format-Table -Wrap
#>
[OutputType([pscustomobject])]
param(
    # The root of the file systems that are read; tests have another.
    [string] $Root = '/'
)

# The trimmed content of a file; null where it is missing.
function Get-Setting([string] $Path) {
    $file = Join-Path $Root $Path
    if ([IO.File]::Exists($file)) { [IO.File]::ReadAllText($file).Trim() }
}

# The different contents of a file that each CPU has.
function Get-CpuSetting([string] $Name) {
    Get-Item (Join-Path $Root "sys/devices/system/cpu/cpu[0-9]*/$Name") -ErrorAction Ignore | ForEach-Object { [IO.File]::ReadAllText($_).Trim() } |
        Sort-Object -Unique
}

function New-Finding([string] $Check, [string] $Value, [bool] $Ready, [string] $Advice) {
    [pscustomobject]@{ Check = $Check; Value = $Value; Ready = $Ready; Advice = $Ready ? '' : $Advice }
}

$cpu = 'sys/devices/system/cpu'
$cpuInfo = Get-Setting proc/cpuinfo
$model = [regex]::Match($cpuInfo, '(?m)^model name\s*:\s*(.*)$').Groups[1].Value
$count = [regex]::Matches($cpuInfo, '(?m)^processor\s*:').Count
New-Finding processor "$count x $model" ($count -gt 2) 'With two CPUs the client and the server take each other''s: use 4 or more.'

$isVirtual = $cpuInfo -match '(?m)^flags\s*:.*\bhypervisor\b'
New-Finding machine ($isVirtual ? 'virtual' : 'physical') (-not $isVirtual) 'Other guests take CPU time. Use a physical machine.'

$governors = Get-CpuSetting cpufreq/scaling_governor
New-Finding governor ($governors ? $governors -join ', ' : 'none') (-not $governors -or "$governors" -eq 'performance') `
    'The frequency follows the load: cpupower frequency-set --governor performance'

$turbo = switch ($true) {
    { (Get-Setting $cpu/intel_pstate/no_turbo) -eq '0' } { 'on' }
    { (Get-Setting $cpu/cpufreq/boost) -eq '1' } { 'on' }
    default { 'off' }
}
New-Finding turbo $turbo ($turbo -eq 'off') `
    "The frequency follows the temperature: write 1 to /$cpu/intel_pstate/no_turbo, or 0 to /$cpu/cpufreq/boost"

$smt = Get-Setting $cpu/smt/active
New-Finding 'hyper-threading' ($smt -eq '1' ? 'on' : 'off') ($smt -ne '1') "Two threads share a core: write off to /$cpu/smt/control"

# Either is a machine that users have; only the same machine can be compared.
$mitigations = (Get-Setting proc/cmdline) -match '\bmitigations=off\b' ? 'off' : 'on'
New-Finding mitigations $mitigations $true ''

$nodes = @(Get-Item (Join-Path $Root 'sys/devices/system/node/node[0-9]*') -ErrorAction Ignore).Count
New-Finding 'NUMA nodes' ([Math]::Max(1, $nodes)) ($nodes -le 1) `
    'Memory of another node is slower. Run all on one: numactl --cpunodebind=0 --membind=0 pwsh -File bench/Invoke-Bench.ps1'

$load = [double] ((Get-Setting proc/loadavg) -split ' ')[0]
New-Finding load ('{0:F2}' -f $load) ($load -lt 0.5) 'Other programs run. Stop them.'

$swapUsed = @((Get-Setting proc/swaps) -split "`n").Count -gt 1
New-Finding swap ($swapUsed ? 'on' : 'off') (-not $swapUsed) 'Memory of the server may be on a disk: swapoff --all'
