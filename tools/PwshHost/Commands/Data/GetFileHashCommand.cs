using System.Management.Automation;
using System.Security.Cryptography;
using PwshHost.Commands.Items;

namespace PwshHost.Commands.Data;

[Cmdlet(VerbsCommon.Get, "FileHash", DefaultParameterSetName = ByPath)]
public sealed class GetFileHashCommand : PathCommand
{
    [Parameter(Position = 1)]
    public string Algorithm { get; set; } = "SHA256";

    protected override void ProcessRecord()
    {
        foreach (string file in ResolveFiles())
        {
            using FileStream stream = File.OpenRead(file);
            var result = new PSObject();
            result.Properties.Add(new PSNoteProperty("Algorithm", Algorithm.ToUpperInvariant()));
            result.Properties.Add(new PSNoteProperty("Hash", Convert.ToHexString(CryptographicOperations.HashData(
                new HashAlgorithmName(Algorithm.ToUpperInvariant()), stream))));
            result.Properties.Add(new PSNoteProperty("Path", file));
            result.TypeNames.Insert(0, "Microsoft.Powershell.Utility.FileHash");
            WriteObject(result);
        }
    }
}
