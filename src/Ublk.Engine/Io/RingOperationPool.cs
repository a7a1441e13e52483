namespace Ublk.Io;

/// <summary>The operations of one ring. It grows to the maximum that was ever in flight and allocates nothing afterwards.</summary>
internal sealed class RingOperationPool
{
    private RingOperation[] _operations = [];
    private RingOperation? _free;
    private int _count;

    /// <summary>Takes a free operation.</summary>
    public RingOperation Rent()
    {
        RingOperation operation = _free ?? Add();
        _free = operation.NextFree;
        operation.NextFree = null;
        return operation;
    }

    /// <summary>Gives an operation back whose result was taken.</summary>
    public void Return(RingOperation operation)
    {
        operation.NextFree = _free;
        _free = operation;
    }

    /// <summary>The operation a completion belongs to.</summary>
    public RingOperation this[int index] => _operations[index];

    private RingOperation Add()
    {
        if (_count == _operations.Length)
        {
            Array.Resize(ref _operations, Math.Max(16, _count * 2));
        }

        return _operations[_count] = new RingOperation(this, _count++);
    }
}
