using Ublk.Filters;
using Ublk.Io;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>A disk of which a backup is made: a change waits until what it changes is read. No request fails because of it.</summary>
/// <param name="disk">The disk, which the owner of this object disposes.</param>
/// <param name="chunks">What is still to be read.</param>
internal sealed class BackupTarget(BlockTarget disk, UncopiedChunks chunks) : FilterTarget(disk)
{
    /// <inheritdoc/>
    public override IoTask<int> HandleAsync(IoRequest request) =>
        request.Operation is IoOperation.Read or IoOperation.Flush || !chunks.Intersects(request.Offset, request.Length)
            ? Inner.HandleAsync(request)
            : ChangeAsync(request);

    private async IoTask<int> ChangeAsync(IoRequest request)
    {
        await chunks.WaitAsync(request.Offset, request.Length);
        return await Inner.HandleAsync(request);
    }
}
