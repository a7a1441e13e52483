# Each operator once as it holds and once as it does not.

Describe 'Should' {
    It '<Case>' -ForEach @(
        @{ Case = '-Be ignores case'; Holds = { 'a' | Should -Be 'A' }; Fails = { 'a' | Should -Be 'b' } }
        @{ Case = '-Be compares arrays'; Holds = { 1, 2 | Should -Be 1, 2 }; Fails = { 1, 2 | Should -Be 1, 2, 3 } }
        @{ Case = '-Be tells null from 0'; Holds = { $null | Should -Be $null }; Fails = { $null | Should -Be 0 } }
        @{ Case = '-BeExactly'; Holds = { 'a' | Should -BeExactly 'a' }; Fails = { 'a' | Should -BeExactly 'A' } }
        @{ Case = '-BeTrue'; Holds = { 1 | Should -BeTrue }; Fails = { 0 | Should -BeTrue } }
        @{ Case = '-BeFalse'; Holds = { $null | Should -BeFalse }; Fails = { 'x' | Should -BeFalse } }
        @{ Case = '-BeNullOrEmpty'; Holds = { @() | Should -BeNullOrEmpty }; Fails = { 0 | Should -BeNullOrEmpty } }
        @{ Case = '-BeLike'; Holds = { 'abc' | Should -BeLike 'A*' }; Fails = { 'abc' | Should -BeLike 'b*' } }
        @{ Case = '-Match'; Holds = { 'abc' | Should -Match '^AB' }; Fails = { 'abc' | Should -Match '^b' } }
        @{ Case = '-Contain'; Holds = { 1, 2 | Should -Contain 2 }; Fails = { 1, 2 | Should -Contain 3 } }
        @{ Case = '-BeIn'; Holds = { 1 | Should -BeIn 1, 2 }; Fails = { 3 | Should -BeIn 1, 2 } }
        @{ Case = '-HaveCount'; Holds = { 1, 2 | Should -HaveCount 2 }; Fails = { 1, 2 | Should -HaveCount 1 } }
        @{ Case = '-HaveCount 0'; Holds = { @() | Should -HaveCount 0 }; Fails = { 1 | Should -HaveCount 0 } }
        @{ Case = '-BeGreaterThan'; Holds = { 2 | Should -BeGreaterThan 1 }; Fails = { 1 | Should -BeGreaterThan 1 } }
        @{ Case = '-BeGreaterOrEqual'; Holds = { 1 | Should -BeGreaterOrEqual 1 }; Fails = { 0 | Should -BeGreaterOrEqual 1 } }
        @{ Case = '-BeLessThan'; Holds = { 1 | Should -BeLessThan 2 }; Fails = { 2 | Should -BeLessThan 2 } }
        @{ Case = '-BeLessOrEqual'; Holds = { 2 | Should -BeLessOrEqual 2 }; Fails = { 3 | Should -BeLessOrEqual 2 } }
        @{ Case = '-BeOfType'; Holds = { 1 | Should -BeOfType [int] }; Fails = { 1 | Should -BeOfType [string] } }
        @{ Case = '-Exist'; Holds = { '/' | Should -Exist }; Fails = { '/no/such/path' | Should -Exist } }
        @{ Case = '-Throw'; Holds = { { throw 'x' } | Should -Throw }; Fails = { { } | Should -Throw } }
        @{ Case = '-Throw by message'; Holds = { { throw 'abc' } | Should -Throw 'a*' }; Fails = { { throw 'abc' } | Should -Throw 'a' } }
        @{
            Case  = '-Throw by id'
            Holds = { { Write-Error 'x' -ErrorId Mine -ErrorAction Stop } | Should -Throw -ErrorId 'Mine*' }
            Fails = { { Write-Error 'x' -ErrorId Mine -ErrorAction Stop } | Should -Throw -ErrorId 'Yours*' }
        }
        @{
            Case  = '-Throw by type'
            Holds = { { throw [ArgumentException] 'x' } | Should -Throw -ExceptionType ([ArgumentException]) }
            Fails = { { throw [ArgumentException] 'x' } | Should -Throw -ExceptionType ([IO.IOException]) }
        }
        @{ Case = '-Not'; Holds = { 1 | Should -Not -Be 2 }; Fails = { 1 | Should -Not -Be 1 } }
    ) {
        & $Holds
        $failed = $false
        try { & $Fails } catch { $failed = $_.FullyQualifiedErrorId -like 'PesterAssertionFailed*' }
        if (-not $failed) { throw 'The assertion that should have failed passed.' }
    }

    It 'returns the error of -Throw -PassThru' {
        $thrown = { throw 'abc' } | Should -Throw -PassThru
        $thrown.Exception.Message | Should -Be 'abc'
    }
}
