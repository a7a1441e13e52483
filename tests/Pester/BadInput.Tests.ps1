# What cannot work: one error that says what to do, and nothing left behind.

BeforeAll {
    . $PSScriptRoot/Common.ps1
    Push-Location $TestDrive
    New-Image "$TestDrive/good.img" 8MB
    New-Image "$TestDrive/empty.img" 0
    $null = New-Item -ItemType Directory folder
    Invoke-Program mkfifo "$TestDrive/pipe"
}

AfterAll {
    Pop-Location
}

Describe 'New-UblkDevice refuses' {
    AfterEach {
        Remove-EveryDevice
    }

    BeforeAll {
        # Half a minute goes by before a worker is given up, in which the other specs run.
        $patient = New-Shell 'New-UblkDevice -Target Null -Id 99'
        $waiting = Use-Worker 'exec sleep 1000' {
            $patient.BeginInvoke()
            Wait-For { Get-Process sleep -ErrorAction Ignore }
        }
    }

    It '<What>' -ForEach @(
        @{ What = 'an unknown target'; Error = 'UnknownTarget'; Says = 'Null, Loop'; With = @{ Target = 'Lop' } }
        @{ What = 'Loop without a file'; Error = 'InvalidArgument'; Says = 'Path'; With = @{ Target = 'Loop' } }
        @{ What = 'a missing file'; Error = 'PathNotFound'; Says = 'missing.img'; With = @{ Target = 'Loop'; Path = 'missing.img' } }
        @{ What = 'wildcards without a match'; Error = 'PathNotFound'; Says = 'z`*.img'; With = @{ Target = 'Loop'; Path = 'z*.img' } }
        @{ What = 'wildcards in -LiteralPath'; Error = 'PathNotFound'; Says = 'goo`*.img'; With = @{ Target = 'Loop'; LiteralPath = 'goo*.img' } }
        @{ What = 'what is no file'; Error = 'InvalidBackingFile'; Says = 'Environment'; With = @{ Target = 'Loop'; Path = 'env:PATH' } }
        @{ What = 'a directory'; Error = 'InvalidBackingFile'; Says = 'a directory'; With = @{ Target = 'Loop'; Path = 'folder' } }
        @{ What = 'a pipe'; Error = 'InvalidBackingFile'; Says = 'pipe'; With = @{ Target = 'Loop'; Path = 'pipe' } }
        @{ What = 'a character device'; Error = 'InvalidBackingFile'; Says = '/dev/null'; With = @{ Target = 'Loop'; Path = '/dev/null' } }
        @{ What = 'an empty file'; Error = 'InvalidBackingFile'; Says = 'truncate'; With = @{ Target = 'Loop'; Path = 'empty.img' } }
        @{ What = 'an offset inside a block'; Error = 'InvalidArgument'; Says = 'Offset'; With = @{ Target = 'Loop'; Path = 'good.img'; Offset = 100 } }
        @{ What = 'an offset beyond the end'; Error = 'InvalidBackingFile'; Says = 'good.img'; With = @{ Target = 'Loop'; Path = 'good.img'; Offset = 8MB } }
        @{ What = 'a size for Loop'; Error = 'UnsupportedOption'; Says = 'Size'; With = @{ Target = 'Loop'; Path = 'good.img'; Size = 1MB } }
        @{ What = 'a file for Null'; Error = 'UnsupportedOption'; Says = 'Path'; With = @{ Target = 'Null'; Path = 'good.img' } }
        @{ What = 'a rate above 1'; Error = 'InvalidArgument'; Says = 'from 0 to 1'; With = @{ Target = 'Null'; Filter = 'ErrorRate=1.5' } }
        @{ What = 'a rate below 0'; Error = 'InvalidArgument'; Says = 'from 0 to 1'; With = @{ Target = 'Null'; Filter = 'ErrorRate=-0.1' } }
        @{ What = 'a negative delay'; Error = 'InvalidArgument'; Says = 'Delay'; With = @{ Target = 'Null'; Filter = 'Delay=-1' } }
        @{ What = 'an unknown error'; Error = 'InvalidArgument'; Says = 'EIO, ENODATA'; With = @{ Target = 'Null'; Filter = 'ErrorRate=1;ErrorKind=EWHAT' } }
        @{ What = 'an unknown operation'; Error = 'InvalidArgument'; Says = 'Read, Write'; With = @{ Target = 'Null'; Filter = 'ErrorRate=1;ErrorOn=Read,Wipe' } }
        @{ What = 'an error that is never to happen'; Error = 'InvalidArgument'; Says = 'ErrorRate'; With = @{ Target = 'Null'; Filter = 'ErrorRate;ErrorKind=EIO' } }
        @{ What = 'faults without a file'; Error = 'InvalidArgument'; Says = 'Path'; With = @{ Target = 'Loop'; Filter = 'Delay=1' } }
        @{ What = 'a path for a name'; Error = 'InvalidArgument'; Says = 'a slash'; With = @{ Target = 'Null'; Name = 'a/b' } }
        @{ What = 'a name of dots'; Error = 'InvalidArgument'; Says = 'a dot'; With = @{ Target = 'Null'; Name = '..' } }
        @{ What = 'an empty name'; Error = 'InvalidArgument'; Says = 'Name'; With = @{ Target = 'Null'; Name = '' } }
        @{ What = 'a name with a control character'; Error = 'InvalidArgument'; Says = 'control'; With = @{ Target = 'Null'; Name = "a`nb" } }
        @{ What = 'a size that is no multiple of a block'; Error = 'InvalidArgument'; Says = '512'; With = @{ Target = 'Null'; Size = 1000 } }
        @{ What = 'a negative id'; Error = 'InvalidArgument'; Says = '0 to'; With = @{ Target = 'Null'; Id = -1 } }
        @{ What = 'an id out of range'; Error = 'InvalidArgument'; Says = '0 to'; With = @{ Target = 'Null'; Id = 1048576 } }
        @{ What = 'no queues'; Error = 'InvalidArgument'; Says = 'QueueCount'; With = @{ Target = 'Null'; QueueCount = 0 } }
        @{ What = 'too many queues'; Error = 'InvalidArgument'; Says = '4096'; With = @{ Target = 'Null'; QueueCount = 4097 } }
        @{ What = 'a queue too deep'; Error = 'InvalidArgument'; Says = '4096'; With = @{ Target = 'Null'; QueueDepth = 4097 } }
        @{ What = 'a queue without depth'; Error = 'InvalidArgument'; Says = 'QueueDepth'; With = @{ Target = 'Null'; QueueDepth = 0 } }
        @{ What = 'requests too great'; Error = 'InvalidArgument'; Says = 'MaxIoSize'; With = @{ Target = 'Null'; MaxIoSize = 64MB } }
        @{ What = 'requests of odd size'; Error = 'InvalidArgument'; Says = '4096'; With = @{ Target = 'Null'; MaxIoSize = 5000 } }
        @{ What = 'blocks of odd size'; Error = 'InvalidArgument'; Says = 'power of two'; With = @{ Target = 'Null'; LogicalBlockSize = 1000 } }
        @{ What = 'blocks greater than a page'; Error = 'InvalidArgument'; Says = 'LogicalBlockSize'; With = @{ Target = 'Null'; LogicalBlockSize = 1MB } }
        @{ What = 'physical blocks below logical ones'; Error = 'InvalidArgument'; Says = 'PhysicalBlockSize'; With = @{ Target = 'Null'; LogicalBlockSize = 4096; PhysicalBlockSize = 512 } }
        @{ What = 'what is no list of CPUs'; Error = 'InvalidArgument'; Says = '0-3,8'; With = @{ Target = 'Null'; QueueAffinity = 'all' } }
        @{ What = 'CPUs that are not there'; Error = 'InvalidArgument'; Says = '4000'; With = @{ Target = 'Null'; QueueAffinity = '4000' } }
        @{ What = 'more lists of CPUs than queues'; Error = 'InvalidArgument'; Says = 'QueueAffinity'; With = @{ Target = 'Null'; QueueAffinity = '0', '1' } }
    ) {
        { New-UblkDevice @With -ErrorAction Stop } | Should -Throw "*$Says*" -ErrorId "$Error,$new"
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'an id that is in use' {
        $null = New-UblkDevice -Target Null -Id 3
        { New-UblkDevice -Target Null -Id 3 -ErrorAction Stop } | Should -Throw '*3*-Id*' -ErrorId "DeviceIdInUse,$new"
        (Get-UblkDevice).Id | Should -Be 3
    }

    It 'an option of another target' {
        { New-UblkDevice -Target Null -Offset 1MB } | Should -Throw '*Offset*' -ErrorId "NamedParameterNotFound,$new"
    }

    It 'to wait for ever for a worker' {
        $waiting.AsyncWaitHandle.WaitOne(600000) | Should -BeTrue
        $patient.Streams.Error.FullyQualifiedErrorId | Should -Be "TimedOut,$new"
        $patient.Streams.Error.Exception.Message | Should -Match '30 s'
        $patient.Dispose()
        Get-Process sleep -ErrorAction Ignore | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
    }
}

Describe 'Remove-UblkDevice refuses' {
    AfterEach {
        Remove-EveryDevice
    }

    It 'an id that is not there' {
        { Remove-UblkDevice -Id 4 -ErrorAction Stop } | Should -Throw '*4*' -ErrorId "DeviceNotFound,$remove"
    }
}

Describe 'Without' {
    AfterEach {
        Remove-EveryDevice
    }

    It 'the driver, an error says how to load it' {
        Invoke-Program modprobe -r ublk_drv
        try {
            { New-UblkDevice -Target Null } | Should -Throw '*modprobe ublk_drv*' -ErrorId "DriverMissing,$new"
            { Remove-UblkDevice -Id 0 } | Should -Throw '*modprobe ublk_drv*' -ErrorId "DriverMissing,$remove"
            Get-UblkDevice | Should -BeNullOrEmpty
        }
        finally {
            Invoke-Program modprobe ublk_drv
        }
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'a state directory that can be written, no device is made' {
        $null = New-Item -ItemType Directory -Force /run/ublk
        Invoke-Program mount -t tmpfs -o 'ro,mode=700' none /run/ublk
        try {
            { New-UblkDevice -Target Null } | Should -Throw '*/run/ublk*' -ErrorId "StateDirectoryNotWritable,$new"
        }
        finally {
            Invoke-Program umount /run/ublk
        }
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'the worker program, an error says so' {
        Use-Worker '' {
            { New-UblkDevice -Target Null } | Should -Throw '*ublk-worker*missing*' -ErrorId "WorkerMissing,$new"
        }
    }

    It 'the right to run the worker program, as after an installation from a gallery, the module takes it' {
        Use-Worker 'exit 0' {
            Get-ChildItem "$modulePath/worker/*/ublk-worker" | ForEach-Object { Invoke-Program chmod -x $_.FullName }
            { New-UblkDevice -Target Null -ErrorAction Stop } | Should -Throw -ErrorId "WorkerDied,$new"
        }
    }
}

Describe 'A worker that' {
    AfterEach {
        Remove-EveryDevice
    }

    AfterEach {
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'is killed while it starts is an error' {
        Use-Worker 'kill -KILL $$' {
            { New-UblkDevice -Target Null -ErrorAction Stop } | Should -Throw '*journalctl*' -ErrorId "WorkerDied,$new"
        }
    }

    It 'cannot start is an error with what it said' {
        Use-Worker 'echo "no such thing" >&2; exit 1' {
            { New-UblkDevice -Target Null -ErrorAction Stop } | Should -Throw '*no such thing*' -ErrorId "WorkerDied,$new"
        }
    }
}
