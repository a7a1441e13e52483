namespace Ublk.Targets.Rbd;

/// <summary>Which image: the parts of <c>pool/namespace/image@snapshot</c>.</summary>
/// <param name="Pool">The pool.</param>
/// <param name="Namespace">The namespace in the pool; null for the pool's own.</param>
/// <param name="Image">The image.</param>
/// <param name="Snapshot">The snapshot of the image; null for the image itself.</param>
internal sealed record RbdName(string Pool, string? Namespace, string Image, string? Snapshot)
{
    // The default of Ceph's rbd command.
    private const string DefaultPool = "rbd";

    private static readonly string[] s_parts = ["Pool", "Namespace", "Image", "Snapshot"];

    /// <summary>The image that options name, by -Spec or by its parts.</summary>
    /// <exception cref="UblkException">They name none, or in two ways.</exception>
    public static RbdName Of(TargetOptions options)
    {
        string? image = options.GetText("Image");
        if (options.GetText("Spec") is not { } spec)
        {
            return new RbdName(options.GetText("Pool") ?? DefaultPool, options.GetText("Namespace"),
                image ?? throw new UblkException(UblkError.InvalidArgument, "The Rbd target needs an image: use -Image or -Spec."),
                options.GetText("Snapshot"));
        }

        return s_parts.FirstOrDefault(name => options.GetText(name) is not null) is { } other
            ? throw new UblkException(UblkError.InvalidArgument, $"Spec and {other} exclude each other. Use one of them.")
            : Parse(spec);
    }

    /// <summary>Reads <c>[pool/[namespace/]]image[@snapshot]</c>.</summary>
    /// <exception cref="UblkException">It is malformed.</exception>
    public static RbdName Parse(string spec)
    {
        string[] path = spec.Split('/');
        string[] last = path[^1].Split('@');
        if (path.Length > 3 || last.Length > 2 || path[..^1].Concat(last).Any(part => part.Length == 0 || part.Contains('@')))
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"'{spec}' is not the name of an RBD image. Write it as pool/image, pool/namespace/image or pool/image@snapshot.");
        }

        return new RbdName(path.Length > 1 ? path[0] : DefaultPool, path.Length > 2 ? path[1] : null, last[0],
            last.Length > 1 ? last[1] : null);
    }

    /// <inheritdoc/>
    public override string ToString() =>
        $"{Pool}/{(Namespace is null ? "" : $"{Namespace}/")}{Image}{(Snapshot is null ? "" : $"@{Snapshot}")}";
}
