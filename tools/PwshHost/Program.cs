using System.Globalization;
using PwshHost.Hosting;

// Help files and messages are looked up by culture; en-US is the one everything ships.
CultureInfo.CurrentUICulture = CultureInfo.DefaultThreadCurrentUICulture = new CultureInfo("en-US");

CommandLine? commandLine = CommandLine.Parse(args);
if (commandLine is null)
{
    Console.Error.WriteLine(CommandLine.Usage);
    return 64;
}

if (commandLine.File is { } file && !File.Exists(file))
{
    Console.Error.WriteLine($"There is no script '{file}'.");
    return 64;
}

return new Session().Run(commandLine);
