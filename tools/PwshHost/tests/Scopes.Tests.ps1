# Where variables and data are visible, as in Pester 5.

BeforeDiscovery {
    $cases = @(
        @{ Left = 1; Right = 2; Sum = 3 }
        @{ Left = 2; Right = 2; Sum = 4 }
    )
}

BeforeAll {
    $ofFile = 'file'
    function Get-Answer { 42 }
}

Describe 'A scope' {
    BeforeAll { $ofBlock = 'block'; $counter = @{ Each = 0 } }
    BeforeEach { $counter.Each++; $ofTest = 'test' }
    AfterEach { $counter.After = $ofTest }

    It 'sees what the file and the block set up' {
        $ofFile, $ofBlock, $ofTest | Should -Be 'file', 'block', 'test'
        Get-Answer | Should -Be 42
        $ofTest = 'changed'
    }

    It 'shows a test to its AfterEach' { $counter.After | Should -Be 'changed' }
    It 'runs BeforeEach before each test' { $counter.Each | Should -Be 3 }
    It 'knows where the file is' { Join-Path $PSScriptRoot 'Scopes.Tests.ps1' | Should -Exist }

    Context 'inside' {
        BeforeAll { $ofInner = 'inner'; $ofBlock = 'shadowed' }
        It 'sees both' { $ofInner, $ofBlock | Should -Be 'inner', 'shadowed' }
    }

    It 'forgets what an inner block set' {
        $ofInner | Should -BeNullOrEmpty
        $ofBlock | Should -Be 'block'
    }
}

Describe 'Data' {
    It 'adds <Left> and <Right> to <Sum>' -ForEach $cases { $Left + $Right | Should -Be $Sum }

    It 'fills parameters' -TestCases $cases {
        param($Right, $Left)
        $Right - $Left | Should -BeIn 0, 1
        $Right | Should -Be 2
    }

    It 'is $_: <_>' -ForEach 'a', 'b' { $_ | Should -BeIn 'a', 'b' }

    Context 'of a block: <Name>' -ForEach @{ Name = 'x'; Nested = @('p', 'q') } {
        It 'reaches its tests, here <_>' -ForEach $Nested { $Name + $_ | Should -BeIn 'xp', 'xq' }
    }

    It 'is absent where the list is empty' -ForEach @() { throw 'not reached' }
}

Describe 'TestDrive' {
    It 'is a directory' {
        'text' | Set-Content "$TestDrive/file"
        "$TestDrive/file" | Should -FileContentMatch 'TEX'
    }
}
