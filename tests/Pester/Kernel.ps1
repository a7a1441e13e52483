# What the specs know of the kernel. For those that ask while they are discovered, before Common.ps1 is there.

$kernel = [Version] ((uname -r) -replace '^(\d+\.\d+).*', '$1')
$canResize = $kernel -ge '6.16'
$canSuspend = $kernel -ge '6.16'
$canZeroCopy = $kernel -ge '6.16'
