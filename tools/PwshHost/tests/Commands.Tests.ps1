# What the host's commands promise is what pwsh's do: these specs pass there too.

Describe 'Select-Object' {
    BeforeAll { $things = 1..5 | ForEach-Object { [pscustomobject]@{ N = $_; Even = $_ % 2 -eq 0 } } }

    It 'takes from either end' {
        (1..5 | Select-Object -First 2), (1..5 | Select-Object -Last 1), (1..5 | Select-Object -Skip 3) | Should -Be (1, 2), 5, (4, 5)
    }
    It 'picks, computes and expands properties' {
        $row = $things | Select-Object N, @{ Name = 'Double'; Expression = { $_.N * 2 } } -First 1
        $row.PSObject.Properties.Name | Should -Be 'N', 'Double'
        $row.Double | Should -Be 2
        $things | Select-Object -ExpandProperty N | Should -Be (1..5)
    }
    It 'stops what is before it when it has what it wants' {
        $made = 0
        & { while ($true) { $made++; $made } } | Select-Object -First 2 -Skip 1 | ForEach-Object { $_ * 2 } | Should -Be 4, 6
        1..3 | Select-Object -First 5 | Should -Be 1, 2, 3
    }
    It 'drops duplicates' { 1, 2, 1 | Select-Object -Unique | Should -Be 1, 2 }
}

Describe 'Sort-Object' {
    It 'sorts by value, not by text' { 10, 9, 100 | Sort-Object | Should -Be 9, 10, 100 }
    It 'sorts by several properties' {
        $sorted = 'bb', 'a', 'aa', 'b' | Sort-Object @{ Expression = 'Length'; Descending = $true }, { $_ }
        $sorted | Should -Be 'aa', 'bb', 'a', 'b'
    }
    It 'drops duplicates, whatever their case' { 'b', 'A', 'a' | Sort-Object -Unique | Should -HaveCount 2 }
}

Describe 'Group-, Measure- and Compare-Object' {
    It 'groups' {
        $groups = 'a', 'b', 'A' | Group-Object
        $groups.Name | Should -Be 'a', 'b'
        $groups.Count | Should -Be 2
        ('a', 'b', 'A' | Group-Object -AsHashTable -AsString)['a'] | Should -HaveCount 2
    }
    It 'measures' {
        $all = 1, 2, 6 | Measure-Object -Sum -Average -Minimum -Maximum
        $all.Count, $all.Sum, $all.Average, $all.Minimum, $all.Maximum | Should -Be 3, 9, 3, 1, 6
    }
    It 'compares' {
        Compare-Object 1, 2 2, 3 | Sort-Object InputObject | ForEach-Object SideIndicator | Should -Be '<=', '=>'
    }
}

Describe 'Json' {
    It 'comes back as it went' {
        $text = @{ number = 1; list = @(1, 'a', $null); nested = @{ yes = $true; real = 1.5 } } | ConvertTo-Json -Depth 5
        $back = $text | ConvertFrom-Json
        $back.number, $back.nested.yes, $back.nested.real | Should -Be 1, $true, 1.5
        $back.list | Should -Be 1, 'a', $null
    }
    It 'is written in one line' { @{ a = @(1) } | ConvertTo-Json -Compress | Should -BeExactly '{"a":[1]}' }
    It 'keeps a list of one' { ConvertTo-Json @(1) -Compress | Should -BeExactly '[1]' }
    It 'becomes a hashtable' { ('{"a":{"b":2}}' | ConvertFrom-Json -AsHashtable).a.b | Should -Be 2 }
    It 'refuses what is no JSON' { { '{' | ConvertFrom-Json } | Should -Throw }
}

Describe 'Files' {
    It 'are written, appended and read by lines' {
        $file = Join-Path $TestDrive 'lines'
        'a', 'b' | Set-Content $file
        'c' | Add-Content $file
        'd' >> $file
        Get-Content $file | Should -Be 'a', 'b', 'c', 'd'
        Get-Content $file -Tail 1 | Should -Be 'd'
        Get-Content $file -Raw | Should -BeExactly "a`nb`nc`nd`n"
    }
    It 'are written as a table of commas' {
        $file = Join-Path $TestDrive 'table.csv'
        [pscustomobject]@{ A = 1; B = 'say "x"' }, [pscustomobject]@{ B = $null; A = 2 } | Export-Csv $file
        Get-Content $file | Select-Object -First 2 | Should -Be '"A","B"', '"1","say ""x"""'
    }
    It 'are made, found, copied, moved and removed' {
        $folder = New-Item -ItemType Directory (Join-Path $TestDrive 'folder')
        $null = New-Item (Join-Path $folder 'one.txt') -Value 'x'
        Copy-Item "$folder/one.txt" "$folder/two.txt"
        Move-Item "$folder/two.txt" "$folder/three.log"
        Get-ChildItem $folder -Name | Should -Be 'one.txt', 'three.log'
        Get-ChildItem $folder -Filter *.log | ForEach-Object Name | Should -Be 'three.log'
        Remove-Item $folder -Recurse
        Test-Path $folder | Should -BeFalse
    }
    It 'that are missing are an error' {
        { Get-Item (Join-Path $TestDrive 'missing') -ErrorAction Stop } | Should -Throw -ErrorId 'PathNotFound*'
        { Get-Content (Join-Path $TestDrive 'missing') -ErrorAction Stop } | Should -Throw -ErrorId 'PathNotFound*'
    }
}

Describe 'Paths' {
    It 'are joined' { Join-Path '/a' 'b' 'c' | Should -BeExactly '/a/b/c' }
    It 'are split' {
        (Split-Path '/a/b.c'), (Split-Path '/a/b.c' -Leaf), (Split-Path '/a/b.c' -LeafBase) | Should -Be '/a', 'b.c', 'b'
    }
    It 'of kinds are told apart' {
        (Test-Path '/' -PathType Container), (Test-Path '/' -PathType Leaf), (Test-Path 'env:PATH') | Should -Be $true, $false, $true
    }
}

Describe 'Streams' {
    It 'of errors carry an id and a category' {
        $failure = { Write-Error 'no' -ErrorId Mine -Category InvalidData -ErrorAction Stop } | Should -Throw -PassThru
        $failure.FullyQualifiedErrorId | Should -BeLike 'Mine*'
        $failure.CategoryInfo.Category | Should -Be 'InvalidData'
    }
    It 'can be redirected' {
        (Write-Warning 'w' 3>&1).Message | Should -Be 'w'
        (Write-Verbose 'v' -Verbose 4>&1).Message | Should -Be 'v'
        "$(Write-Host 'h' 6>&1)" | Should -Be 'h'
    }
}

Describe 'Formatting' {
    It 'makes a list' { [pscustomobject]@{ A = 1; B = 2 } | Format-List | Out-String | Should -Match 'A : 1\s+B : 2' }
    It 'makes a table' { [pscustomobject]@{ A = 1; B = 2 } | Format-Table | Out-String | Should -Match 'A B\s+- -\s+1 2' }
    It 'gives lines' { 'a', 'b' | Out-String -Stream | Should -Be 'a', 'b' }
}

Describe 'The engine' {
    It 'completes commands' { (TabExpansion2 'Get-ChildI' 10).CompletionMatches[0].CompletionText | Should -Be 'Get-ChildItem' }
    It 'shows help' { Get-Help Get-Command -Full | Out-String | Should -Match 'PARAMETERS' }
    It 'runs other programs' {
        sh -c 'exit 3'
        $LASTEXITCODE | Should -Be 3
        'b', 'a' | sort | Should -Be 'a', 'b'
    }
}
