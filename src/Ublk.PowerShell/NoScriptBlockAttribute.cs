using System.Management.Automation;

namespace Ublk.PowerShell;

/// <summary>Refuses a script block, whose text PowerShell would take for the name of something to make.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class NoScriptBlockAttribute : ArgumentTransformationAttribute
{
    /// <inheritdoc/>
    public override object Transform(EngineIntrinsics engineIntrinsics, object inputData) =>
        inputData is ScriptBlock or PSObject { BaseObject: ScriptBlock }
            ? throw new ArgumentTransformationMetadataException(
                "A script block is not evaluated here. Call the cmdlet in ForEach-Object { } to give each object a value of its own.")
            : inputData;
}
