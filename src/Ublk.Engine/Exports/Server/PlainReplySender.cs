using Ublk.Io;

namespace Ublk.Exports.Server;

/// <summary>Sends replies as they are, with the data from where it is.</summary>
internal sealed class PlainReplySender(IoQueue queue, int file, Action<ExportRequest> onSent) : ReplySender(queue, file, onSent)
{
    private protected override int Gather(bool isMore)
    {
        int count = 0;
        Length = 0;
        for (ExportRequest? request = First; request is not null && count + 2 <= MaxVectors; request = request.Next)
        {
            count += request.Describe(Vectors.AsSpan(count));
            Length += request.Unsent;
        }

        return count;
    }

    private protected override void Note(int sent) => Advance(sent);
}
