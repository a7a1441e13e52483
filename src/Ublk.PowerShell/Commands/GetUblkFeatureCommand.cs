using System.Management.Automation;
using Ublk.Control;

namespace Ublk.PowerShell.Commands;

/// <summary>Shows what the driver of this kernel can do, and what needs it.</summary>
[Cmdlet(VerbsCommon.Get, "UblkFeature")]
[OutputType(typeof(UblkFeature))]
public sealed class GetUblkFeatureCommand : UblkCommand
{
    /// <summary>Features by name.</summary>
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(FeatureNameCompleter))]
    public string[] Name { get; set; } = ["*"];

    /// <inheritdoc/>
    protected override void ProcessRecord() => Require(null, () =>
    {
        IReadOnlyList<UblkFeature> features = FeatureCatalog.List();
        foreach (string name in Name)
        {
            Attempt(name, () => Write(name, features));
        }
    });

    private void Write(string name, IReadOnlyList<UblkFeature> features)
    {
        WildcardPattern pattern = new(name, WildcardOptions.IgnoreCase);
        UblkFeature[] found = [.. features.Where(feature => pattern.IsMatch(feature.Name))];
        if (found.Length == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"There is no feature named '{name}'. Get-UblkFeature without a name shows those there are.");
        }

        WriteObject(found, enumerateCollection: true);
    }
}
