// PowerShell as Microsoft packages it, for machines that have none.
return Microsoft.PowerShell.UnmanagedPSEntry.Start(args, args.Length);
