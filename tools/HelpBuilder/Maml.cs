using System.Management.Automation;
using System.Xml.Linq;

namespace Ublk.HelpBuilder;

/// <summary>The XML that Get-Help reads.</summary>
internal static class Maml
{
    private static readonly XNamespace Msh = "http://msh";
    private static readonly XNamespace Text = "http://schemas.microsoft.com/maml/2004/10";
    private static readonly XNamespace Command = "http://schemas.microsoft.com/maml/dev/command/2004/10";
    private static readonly XNamespace Dev = "http://schemas.microsoft.com/maml/dev/2004/10";

    /// <summary>The help of all cmdlets, with links to their pages below the public address of the documentation, if it has one.</summary>
    public static XDocument Of(IEnumerable<CmdletHelp> cmdlets, string? uri) => new(
        new XElement(Msh + "helpItems",
            new XAttribute("schema", "maml"),
            new XAttribute(XNamespace.Xmlns + "maml", Text.NamespaceName),
            new XAttribute(XNamespace.Xmlns + "command", Command.NamespaceName),
            new XAttribute(XNamespace.Xmlns + "dev", Dev.NamespaceName),
            cmdlets.Select(cmdlet => Of(cmdlet, uri))));

    private static XElement Of(CmdletHelp help, string? uri)
    {
        string[] name = help.Cmdlet.Name.Split('-');
        return new XElement(Command + "command",
            new XElement(Command + "details",
                new XElement(Command + "name", help.Cmdlet.Name),
                new XElement(Command + "verb", name[0]),
                new XElement(Command + "noun", name[1]),
                Description(help.Page.Introduction.Take(1))),
            Description(help.Page.Introduction.Skip(1)),
            new XElement(Command + "syntax", help.Cmdlet.ParameterSets.Select(set => new XElement(Command + "syntaxItem",
                new XElement(Text + "name", help.Cmdlet.Name),
                set.Select(parameter => Parameter(parameter, isInSyntax: true, []))))),
            new XElement(Command + "parameters",
                help.Cmdlet.Parameters.Select(parameter => Parameter(parameter, isInSyntax: false, help.Describe(parameter)))),
            new XElement(Command + "inputTypes", help.Inputs.Select(type => Type("inputType", type))),
            new XElement(Command + "returnValues", help.Outputs.Select(type => Type("returnValue", type))),
            new XElement(Command + "examples", help.Page.Examples.Select(Example)),
            new XElement(Command + "relatedLinks",
                // The first address of a command's links is its HelpUri.
                string.IsNullOrEmpty(uri) ? null : Link("Online version", $"{uri.TrimEnd('/')}/help/{help.Cmdlet.Name}.md"),
                help.Page.Links.Select(link => Link(link))));
    }

    private static XElement Link(string text, string? uri = null) => new(Text + "navigationLink",
        new XElement(Text + "linkText", text),
        uri is null ? null : new XElement(Text + "uri", uri));

    private static XElement Parameter(CmdletParameter parameter, bool isInSyntax, IReadOnlyList<string> description)
    {
        CommandParameterInfo info = parameter.Info;
        string type = (Nullable.GetUnderlyingType(info.ParameterType) ?? info.ParameterType).Name;
        return new XElement(Command + "parameter",
            new XAttribute("required", info.IsMandatory ? "true" : "false"),
            new XAttribute("globbing", info.Attributes.OfType<SupportsWildcardsAttribute>().Any() ? "true" : "false"),
            new XAttribute("pipelineInput", PipelineInput(info)),
            new XAttribute("position", info.Position >= 0 ? $"{info.Position}" : "named"),
            new XAttribute("aliases", info.Aliases.Count > 0 ? string.Join(", ", info.Aliases) : "none"),
            new XElement(Text + "name", info.Name),
            description.Count > 0 ? Description(description) : null,
            isInSyntax && type == nameof(SwitchParameter)
                ? null
                : new XElement(Command + "parameterValue", new XAttribute("required", "true"), type));
    }

    private static string PipelineInput(CommandParameterInfo info) => (info.ValueFromPipeline, info.ValueFromPipelineByPropertyName) switch
    {
        (true, true) => "True (ByValue, ByPropertyName)",
        (true, false) => "True (ByValue)",
        (false, true) => "True (ByPropertyName)",
        _ => "False",
    };

    private static XElement Example(HelpExample example, int index) => new(Command + "example",
        new XElement(Text + "title", $"Example {index + 1}"),
        new XElement(Dev + "code", example.Code),
        new XElement(Dev + "remarks", example.Remarks.Select(Paragraph)));

    private static XElement Type(string element, HelpType type) => new(Command + element,
        new XElement(Dev + "type", new XElement(Text + "name", type.Name)),
        Description([type.Text]));

    private static XElement Description(IEnumerable<string> paragraphs) => new(Text + "description", paragraphs.Select(Paragraph));

    private static XElement Paragraph(string text) => new(Text + "para", text);
}
