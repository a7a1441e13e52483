using System.Management.Automation;
using Microsoft.PowerShell.Commands.Internal.Format;

namespace PwshHost.Commands.Formatting;

[Cmdlet(VerbsCommon.Format, "List")]
public sealed class FormatListCommand : OuterFormatTableAndListBase
{
    public FormatListCommand() => InnerFormatter.Attach(this, "List");
}

[Cmdlet(VerbsCommon.Format, "Table")]
public sealed class FormatTableCommand : OuterFormatTableBase
{
    public FormatTableCommand() => InnerFormatter.Attach(this, "Table");
}
