using Ublk.CommandLine;

return UblkProgram.Run(args, Console.Out, Console.Error);
