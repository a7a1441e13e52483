using System.Management.Automation;
using PwshHost.Hosting;

namespace PwshHost.Commands.Formatting;

/// <summary>Objects as the text Out-Host would print.</summary>
internal static class HostText
{
    public static string Of(PSCmdlet caller, List<PSObject> items, int? width)
    {
        var host = (ConsoleUI)ConsoleHost.Current.UI;
        using var writer = new StringWriter();
        ((ConsoleRawUI)host.RawUI).WidthOverride = width;
        try
        {
            host.Capture(writer, () => caller.InvokeCommand.InvokeScript(false, ScriptBlock.Create("$input | Out-Host"), items));
        }
        finally
        {
            ((ConsoleRawUI)host.RawUI).WidthOverride = null;
        }

        return writer.ToString();
    }

    public static IEnumerable<string> Lines(string text)
    {
        string[] lines = text.Split('\n');
        return text.EndsWith('\n') ? lines[..^1] : lines;
    }
}
