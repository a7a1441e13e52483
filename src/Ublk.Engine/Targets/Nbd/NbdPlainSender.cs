using Ublk.Interop;
using Ublk.Io;

namespace Ublk.Targets.Nbd;

/// <summary>Sends requests as they are, with the data from where it is.</summary>
internal sealed class NbdPlainSender(NbdConnection connection, IoQueue queue) : NbdSender(connection, queue)
{
    // As above: replies wait for the end of a message.
    private const long MaxBytes = 64 << 20;

    private NbdCommand? _notGathered;
    private int _count;

    private protected override void OnAdded(NbdCommand command) => _notGathered ??= command;

    private protected override void Begin()
    {
        Length = 0;
        _count = 0;
        _notGathered = First;
    }

    private protected override int Gather()
    {
        while (_notGathered is { } command && _count + 2 <= MaxVectors && Length < MaxBytes && Tail.Length == 0)
        {
            IoBuffer outside = command.UnsentOutsideMemory;
            if (outside.Length > 0 && IsSending)
            {
                // The entry of the message is not linked to another one.
                break;
            }

            _count += command.Describe(Vectors.AsSpan(_count));
            Length += command.Unsent;
            _notGathered = command.Next;
            Tail = outside;
        }

        return _count;
    }

    private protected override void Note(int sent) => Advance(sent);
}
