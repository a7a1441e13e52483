using Ublk.HelpBuilder;

if (args.Length is < 2 or > 3)
{
    Console.Error.WriteLine("usage: Ublk.HelpBuilder DOCS FOLDER [URI]");
    return 2;
}

try
{
    Manual.Build(args[0], args[1], args.ElementAtOrDefault(2));
    return 0;
}
catch (HelpException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
