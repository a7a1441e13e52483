# The scripts of bench that need no driver.

BeforeAll {
    $root = Split-Path (Split-Path $PSScriptRoot)
    $machine = "$TestDrive/machine"
    $cpu = "$machine/sys/devices/system/cpu"

    function Set-Setting([string] $Path, [string] $Text) {
        $null = New-Item -ItemType Directory -Force (Split-Path $Path)
        Set-Content $Path $Text
    }

    # What is not ready on the machine.
    function Get-Unready {
        & $root/bench/Test-Machine.ps1 -Root $machine | Where-Object Ready -EQ $false
    }
}

Describe 'Test-Machine' {
    BeforeEach {
        Remove-Item $machine -Recurse -Force -ErrorAction Ignore
        Set-Setting $machine/proc/cpuinfo ((0..3 | ForEach-Object { "processor`t: $_`nmodel name`t: A processor`nflags`t`t: fpu vme" }) -join "`n`n")
        Set-Setting $machine/proc/loadavg '0.10 0.50 0.70 1/200 1234'
        Set-Setting $machine/proc/cmdline 'root=/dev/sda1 mitigations=off'
        Set-Setting $machine/proc/swaps 'Filename Type Size Used Priority'
        0..3 | ForEach-Object { Set-Setting $cpu/cpu$_/cpufreq/scaling_governor performance }
        Set-Setting $cpu/intel_pstate/no_turbo 1
        Set-Setting $cpu/smt/active 0
        $null = New-Item -ItemType Directory $machine/sys/devices/system/node/node0
    }

    It 'finds nothing on a machine that is ready' {
        Get-Unready | Should -BeNullOrEmpty
        & $root/bench/Test-Machine.ps1 -Root $machine | Where-Object Check -EQ processor | ForEach-Object Value | Should -Be '4 x A processor'
    }

    It 'finds <check>, and says what to do' -ForEach @(
        @{ check = 'governor'; path = 'sys/devices/system/cpu/cpu2/cpufreq/scaling_governor'; text = 'powersave'; advice = '*cpupower*' }
        @{ check = 'turbo'; path = 'sys/devices/system/cpu/intel_pstate/no_turbo'; text = '0'; advice = '*no_turbo*' }
        @{ check = 'turbo'; path = 'sys/devices/system/cpu/cpufreq/boost'; text = '1'; advice = '*boost*' }
        @{ check = 'hyper-threading'; path = 'sys/devices/system/cpu/smt/active'; text = '1'; advice = '*smt/control*' }
        @{ check = 'NUMA nodes'; path = 'sys/devices/system/node/node1/cpulist'; text = '2-3'; advice = '*numactl*' }
        @{ check = 'load'; path = 'proc/loadavg'; text = '3.20 1.00 0.50 2/200 1234'; advice = '*Stop*' }
        @{ check = 'swap'; path = 'proc/swaps'; text = "Filename Type`n/dev/sda2 partition"; advice = '*swapoff*' }
        @{ check = 'machine'; path = 'proc/cpuinfo'; text = "processor : 0`nprocessor : 1`nprocessor : 2`nflags : fpu hypervisor"; advice = '*physical*' }
    ) {
        Set-Setting $machine/$path $text
        $finding = Get-Unready
        $finding.Check | Should -Be $check
        $finding.Advice | Should -BeLike $advice
    }
}
