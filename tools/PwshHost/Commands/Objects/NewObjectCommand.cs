using System.Collections;
using System.Management.Automation;

namespace PwshHost.Commands.Objects;

[Cmdlet(VerbsCommon.New, "Object")]
public sealed class NewObjectCommand : PSCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    public string TypeName { get; set; } = string.Empty;

    [Parameter(Position = 1)]
    [Alias("Args")]
    public object?[] ArgumentList { get; set; } = [];

    [Parameter]
    public IDictionary? Property { get; set; }

    protected override void BeginProcessing()
    {
        PSObject result = Create();
        foreach (DictionaryEntry entry in Property ?? new Hashtable())
        {
            string name = entry.Key.ToString()!;
            if (result.BaseObject is PSCustomObject)
            {
                result.Properties.Add(new PSNoteProperty(name, entry.Value));
            }
            else
            {
                result.Properties[name].Value = entry.Value;
            }
        }

        WriteObject(result);
    }

    // The language's own ::new knows how to choose an overload.
    private PSObject Create()
    {
        Type type = LanguagePrimitives.ConvertTo<Type>(TypeName);
        if (type == typeof(PSObject) || type == typeof(PSCustomObject))
        {
            return new PSObject();
        }

        return InvokeCommand.InvokeScript(
            false, ScriptBlock.Create("param($type, $arguments) , $type::new.Invoke($arguments)"), null, type, ArgumentList)[0];
    }
}
