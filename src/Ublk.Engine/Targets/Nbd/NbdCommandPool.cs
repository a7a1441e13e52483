namespace Ublk.Targets.Nbd;

/// <summary>The requests of one connection. It grows to the most that were ever in flight at once and allocates nothing after.</summary>
internal sealed class NbdCommandPool
{
    private NbdCommand[] _commands = [];
    private NbdCommand? _free;
    private int _count;

    /// <summary>How many requests are in flight.</summary>
    public int Active { get; private set; }

    /// <summary>Takes a request that is free.</summary>
    public NbdCommand Rent()
    {
        NbdCommand command = _free ?? Add();
        _free = command.Next;
        command.Next = null;
        Active++;
        return command;
    }

    /// <summary>Answers a request.</summary>
    public void Complete(NbdCommand command, int result)
    {
        Active--;
        command.Answer(result);
    }

    /// <summary>Gives a request back whose result was taken.</summary>
    public void Return(NbdCommand command)
    {
        command.Next = _free;
        _free = command;
    }

    /// <summary>The request in flight that a reply belongs to; null for none.</summary>
    public NbdCommand? Find(ulong cookie)
    {
        uint index = (uint)cookie;
        return index < _count && _commands[index] is { IsActive: true, IsReplied: false } command && command.Cookie == cookie
            ? command
            : null;
    }

    /// <summary>The requests in flight, as they are now: for what happens when a connection is lost.</summary>
    public NbdCommand[] FindActive() => Array.FindAll(_commands[.._count], command => command.IsActive);

    /// <summary>Whether a request has been in flight since before a moment, in the milliseconds of a command's SendTime.</summary>
    public bool HasOlder(long time)
    {
        for (int index = 0; index < _count; index++)
        {
            if (_commands[index].IsActive && _commands[index].SendTime < time)
            {
                return true;
            }
        }

        return false;
    }

    private NbdCommand Add()
    {
        if (_count == _commands.Length)
        {
            Array.Resize(ref _commands, Math.Max(16, _count * 2));
        }

        return _commands[_count] = new NbdCommand(this, _count++);
    }
}
