# Exports as a user handles them, judged by qemu and libnbd. What the server does in each case is shown in tests/Unit/Exports.

BeforeAll {
    . $PSScriptRoot/../Pester/Common.ps1
    $folder = Join-Path $TestDrive exports
    $null = New-Item -ItemType Directory $folder
    Push-Location $folder
    $null = New-UblkImage disk.qcow2 16MB
    $null = Invoke-Program qemu-io -f qcow2 -c 'write -P 1 0 1M' "$folder/disk.qcow2"
}

AfterAll {
    Pop-Location
}

Describe 'New-UblkExport' {
    AfterEach {
        Get-UblkExport | Remove-UblkExport -Force
        Get-ChildItem /run/ublk -Filter export-* | Should -BeNullOrEmpty
        Wait-For { -not (Get-Worker) }
    }

    It 'serves an image that others can read, until it is removed' {
        $export = New-UblkExport disk.qcow2
        $export.Name | Should -Be disk
        $export.State | Should -Be Live
        $export.ReadOnly | Should -BeTrue
        $export.MetaContexts | Should -Be base:allocation
        $null = Invoke-Program qemu-img compare -f qcow2 -F raw disk.qcow2 $export.Uri
        (Get-Item $export.SocketPath).UnixFileMode | Should -Be ([IO.UnixFileMode] 'UserRead, UserWrite')
        Get-UblkExport | Out-String -Width 200 | Should -Match 'disk +Live +0 +16 MiB'
        (TabExpansion2 'Remove-UblkExport di').CompletionMatches.CompletionText | Should -Be disk
        { New-UblkDevice disk.qcow2 -WhatIf } | Should -Not -Throw
        { New-UblkExport disk.qcow2 -ErrorAction Stop } | Should -Throw '*Remove-UblkExport disk*' -ErrorId 'NameInUse,*'
        Remove-UblkExport disk -WhatIf
        Remove-UblkExport disk
        Test-Path $export.SocketPath | Should -BeFalse
        { Get-UblkExport disk -ErrorAction Stop } |
            Should -Throw '*no export*' -ErrorId 'ExportNotFound,Ublk.PowerShell.Commands.GetUblkExportCommand'
    }

    It 'serves a snapshot on a port, under a name' {
        $null = Checkpoint-UblkImage disk.qcow2 before
        $null = Invoke-Program qemu-io -f qcow2 -c 'write -P 2 0 1M' "$folder/disk.qcow2"
        $listener = [Net.Sockets.TcpListener]::new([Net.IPAddress]::Loopback, 0)
        $listener.Start()
        $port = $listener.LocalEndpoint.Port
        $listener.Stop()
        $export = Get-Item disk.qcow2 | New-UblkExport -Snapshot before -Name old -Port $port
        $export.Uri | Should -Be "nbd://127.0.0.1:$port/old"
        $null = Invoke-Program qemu-io -f raw -r -c 'read -P 1 0 1M' $export.Uri
        $null = Invoke-Program nbdinfo $export.Uri
    }

    It 'lets clients write, and nobody else meanwhile' {
        $null = New-UblkImage data.raw 4MB -Format Raw
        $export = New-UblkExport data.raw -Writable -Socket "$folder/data.socket"
        $null = Invoke-Program qemu-io -f raw -c 'write -P 7 0 64k' $export.Uri
        { New-UblkExport data.raw -Name other -ErrorAction Stop } | Should -Throw '*in use*' -ErrorId 'BackingFileInUse,*'
        Remove-UblkExport data
        $null = Invoke-Program qemu-io -f raw -c 'read -P 7 0 64k' data.raw
    }

    It 'is not removed under its clients without -Force' {
        $export = New-UblkExport disk.qcow2
        $client = [Net.Sockets.Socket]::new('Unix', 'Stream', 'Unspecified')
        $client.Connect([Net.Sockets.UnixDomainSocketEndPoint]::new($export.SocketPath))
        $null = $client.Receive([byte[]]::new(18))
        { Remove-UblkExport disk -ErrorAction Stop } | Should -Throw '*-Force*' -ErrorId 'ExportInUse,*'
        (Get-UblkExport disk).Clients | Should -Be 1
        Remove-UblkExport disk -Force
        $client.Receive([byte[]]::new(1)) | Should -Be 0
        $client.Dispose()
    }

    It 'leaves a dead export to be seen and replaced, and nothing of one that fails' {
        $export = New-UblkExport disk.qcow2
        Stop-Process -Id $export.ProcessId -Force
        Wait-For { (Get-UblkExport disk).State -eq 'Dead' }
        (New-UblkExport disk.qcow2).State | Should -Be Live
        { New-UblkExport disk.qcow2 -Name b -Snapshot none -ErrorAction Stop } | Should -Throw '*no snapshot*' -ErrorId 'SnapshotNotFound,*'
        { New-UblkExport disk.qcow2 -Name 'a/b' -ErrorAction Stop } | Should -Throw '*name*' -ErrorId 'InvalidArgument,*'
        { New-UblkExport disk.qcow2 -Name b -Port 10809 -Address 0.0.0.0 -ErrorAction Stop } | Should -Throw '*-TlsCertificates*'
        (Get-UblkExport).Name | Should -Be disk
    }
}
