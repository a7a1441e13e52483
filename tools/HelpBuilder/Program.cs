using Ublk.HelpBuilder;

if (args.Length != 2)
{
    Console.Error.WriteLine("usage: Ublk.HelpBuilder PAGES FOLDER");
    return 2;
}

try
{
    Manual.Build(args[0], args[1]);
    return 0;
}
catch (HelpException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
