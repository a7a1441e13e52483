using System.CommandLine;

namespace Ublk.CommandLine;

/// <summary>Options of the reference server that mean nothing here: each is refused by its name, with the reason.</summary>
internal static class RefusedOption
{
    /// <summary>The options.</summary>
    public static IReadOnlyList<Option> All { get; } =
    [
        Create("the worker does not use the driver's commands for batches", false, "--batch-io", "-b"),
        Create("the worker writes its log to the journal: journalctl -t ublk", true, "--debug_mask"),
        Create("the worker shares no memory with clients of the disk", false, "--shmem_zc"),
        Create("the worker shares no memory with clients of the disk", true, "--htlb"),
        Create("the worker shares no memory with clients of the disk", false, "--rdonly_shmem_buf"),
        Create("the nbd target does not send from the clients' pages", false, "--send_zc"),
    ];

    private static Option<string?> Create(string reason, bool takesValue, string name, params string[] aliases)
    {
        Option<string?> option = new(name, aliases)
        {
            Hidden = true,
            Arity = takesValue ? ArgumentArity.ExactlyOne : ArgumentArity.Zero,
        };
        option.Validators.Add(result => result.AddError($"option '{result.IdentifierToken?.Value ?? name}' is not supported: {reason}"));
        return option;
    }
}
