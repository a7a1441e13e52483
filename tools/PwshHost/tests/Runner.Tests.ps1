# The runner run by itself: first that what should fail fails, then that scopes and data reach the tests.

Describe 'Invoke-Pester' {
    BeforeAll {
        function Invoke-Fixture($Name, $Filter = @{}) {
            Invoke-Pester -Path (Join-Path $PSScriptRoot 'fixtures' "$Name.Spec.ps1") -PassThru -Output None @Filter
        }
    }

    Context 'on tests of every outcome' {
        BeforeAll { $run = Invoke-Fixture Outcomes }

        It 'fails the tests that are to fail, and no other' {
            $run.Tests | Where-Object Result -EQ Failed | ForEach-Object Name | Should -Be @(
                'fails by an assertion'
                'fails by throw'
                'fails by an error that ends only a statement'
                'fails by a missing command'
                'fails by a break'
                'fails by -Not'
                'fails where nothing is thrown'
                'fails where something else is thrown'
                'fails with it'
                'fails after all'
            )
            $run.FailedCount | Should -Be 10
            $run.Result | Should -Be 'Failed'
        }

        It 'passes the rest' {
            $run.Tests | Where-Object Result -EQ Passed | ForEach-Object Name | Should -Be 'passes', 'is tagged'
            $run.PassedCount | Should -Be 2
        }

        It 'skips what is skipped' {
            $run.Tests | Where-Object Result -EQ Skipped | ForEach-Object Name | Should -Be 'skips itself', 'is skipped', 'is skipped with it'
            $run.SkippedCount | Should -Be 3
        }

        It 'says what was expected' {
            $failed = $run.Tests | Where-Object Name -EQ 'fails by an assertion'
            $failed.ErrorRecord[0].Exception.Message | Should -Be 'Expected 3, because sums are sums, but got 2.'
        }
    }

    It 'reports a failed AfterAll though its tests passed' {
        $run = Invoke-Fixture BrokenTeardown
        $run.PassedCount | Should -Be 1
        $run.FailedBlocksCount | Should -Be 1
        $run.Result | Should -Be 'Failed'
    }

    It 'reports a file that fails in discovery' {
        $run = Invoke-Fixture BrokenFile
        $run.FailedContainersCount | Should -Be 1
        $run.Result | Should -Be 'Failed'
    }

    It 'reports a file that has AfterEach outside of a Describe, as Pester does' {
        $run = Invoke-Fixture RootTeardown
        $run.FailedContainersCount | Should -Be 1
        $run.PassedCount | Should -Be 0
    }

    It 'runs only what -TagFilter names' {
        $run = Invoke-Fixture Outcomes @{ TagFilter = 'Special' }
        $run.PassedCount | Should -Be 1
        $run.FailedCount | Should -Be 0
    }

    It 'leaves out what -ExcludeTagFilter names' {
        (Invoke-Fixture Outcomes @{ ExcludeTagFilter = 'Special' }).PassedCount | Should -Be 1
    }
}
