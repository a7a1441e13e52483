# -Name: a name that leads to the device it was given to, and to no other.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    $folder = '/dev/disk/by-ublk'
    $link = "$folder/data"
    $image = "$TestDrive/disk.img"
    New-Image $image 8MB
}

Describe 'A device with a name' {
    BeforeEach {
        $device = New-UblkDevice -Target Loop -Path $image -Name data
    }

    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'has a link, and tells it' {
        Invoke-Program readlink $link | Should -Be "../../ublkb$($device.Id)"
        Invoke-Program blockdev --getsize64 $link | Should -Be 8MB
        $device.Symlink | Should -Be $link
        ($device | Format-List | Out-String) | Should -Match "Symlink +: $link"
        (New-UblkDevice -Target Null).Symlink | Should -BeNullOrEmpty
    }

    It 'is found by its name, its node and its file' {
        $null = New-UblkDevice -Target Null -Name other
        (Get-UblkDevice -Path $link).Id | Should -Be $device.Id
        (Get-UblkDevice -Path "$folder/d*").Id | Should -Be $device.Id
        Remove-UblkDevice -Path "$folder/o*"
        (Get-UblkDevice).Id | Should -Be $device.Id
        Remove-UblkDevice -Path "$folder/none*"
        { Remove-UblkDevice -Path "$folder/none" -ErrorAction Stop } | Should -Throw '*none*' -ErrorId "DeviceNotFound,$remove"
        Remove-UblkDevice -Path $image
        Get-UblkDevice | Should -BeNullOrEmpty
    }

    It 'is found by what is piped with a path' {
        (Get-Item $image | Get-UblkDevice).Id | Should -Be $device.Id
        ([pscustomobject] @{ LiteralPath = $link } | Stop-UblkDevice -PassThru).State | Should -Be 'Stopped'
        Get-Item $image | Remove-UblkDevice
        Get-UblkDevice | Should -BeNullOrEmpty
    }

    It 'is completed by its paths' {
        (TabExpansion2 'Remove-UblkDevice -Path /').CompletionMatches.CompletionText | Should -Be $link, $device.DevicePath, $image
        (TabExpansion2 "Get-UblkDevice -Path $folder/").CompletionMatches.CompletionText | Should -Be $link
    }

    It 'loses its link when <How>' -ForEach @(
        @{ How = 'it is removed'; Action = { Remove-UblkDevice -Path $link } }
        @{ How = 'it is removed by force'; Action = { $device | Remove-UblkDevice -Force } }
        @{ How = 'its worker is told to end'; Action = { Invoke-Program env kill -TERM $device.ProcessId } }
    ) {
        . $Action
        Wait-For { -not (Get-Leftover) }
    }

    It 'keeps its name while it exists, whether it is served or not' {
        Stop-Worker
        (Get-UblkDevice).State | Should -Be 'Crashed'
        (Get-UblkDevice -Path $link).Id | Should -Be $device.Id
        { New-UblkDevice -Target Null -Name data -ErrorAction Stop } | Should -Throw "*$device*" -ErrorId "NameInUse,$new"
        Remove-UblkDevice -Path $link
    }

    It 'has its name again when it is started again' {
        $device | Stop-UblkDevice
        Invoke-Failure blockdev --getsize64 $link | Should -Match 'No such file'
        Start-UblkDevice -Path $link
        Invoke-Program blockdev --getsize64 $link | Should -Be 8MB
    }

    It 'has its name while <How>' -ForEach @(
        @{ How = 'its worker is replaced'; Action = { Stop-Worker; Start-UblkDevice -Path $link } }
        @{ How = 'its supervisor replaces its worker'; AutoRestart = $true; Action = { Invoke-Program env kill -KILL $device.ProcessId; Wait-For { ($now = Get-UblkDevice).State -eq 'Live' -and $now.Restarts } } }
    ) {
        $device | Remove-UblkDevice
        $device = New-UblkDevice -Target Loop -Path $image -Name data -Recovery Reissue -AutoRestart:([bool] $AutoRestart)
        . $Action
        Invoke-Program readlink $link | Should -Be "../../ublkb$($device.Id)"
        (Get-UblkDevice -Path $link).State | Should -Be 'Live'
        Get-UblkDevice | Remove-UblkDevice
        Wait-For { -not (Get-Leftover) }
    }

    It 'has its name to itself: a second one is not made' {
        { New-UblkDevice -Target Null -Name data -ErrorAction Stop } | Should -Throw "*$link*$device*" -ErrorId "NameInUse,$new"
        (Get-UblkDevice).Id | Should -Be $device.Id
        Invoke-Program readlink $link | Should -Be "../../ublkb$($device.Id)"
    }

    It 'keeps its name when a start that fails is undone' {
        { New-UblkDevice -Target Loop -Path $image -Name more -ErrorAction Stop } | Should -Throw -ErrorId "BackingFileInUse,$new"
        Get-ChildItem $folder | ForEach-Object Name | Should -Be 'data'
    }
}

Describe 'A link that is left over' {
    BeforeEach {
        $null = New-Item -ItemType Directory -Force $folder
    }

    AfterEach {
        Remove-EveryDevice
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is taken over by who asks for its name' {
        Invoke-Program ln -s ../../ublkb7 $link
        $device = New-UblkDevice -Target Null -Name data
        Invoke-Program readlink $link | Should -Be "../../ublkb$($device.Id)"
    }

    It 'does not lead to a newer device of the same id' {
        Invoke-Program ln -s ../../ublkb5 $link
        $device = New-UblkDevice -Target Null -Id 5
        Get-ChildItem $folder | Should -BeNullOrEmpty
        $device.Symlink | Should -BeNullOrEmpty
    }

    It 'is not taken for one, where it leads elsewhere' {
        Invoke-Program ln -s /dev/null $link
        { New-UblkDevice -Target Null -Name data -ErrorAction Stop } | Should -Throw "*$link*Remove it*" -ErrorId "NameInUse,$new"
        Invoke-Program readlink $link | Should -Be /dev/null
        Remove-Item $link
    }
}
