using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ublk.Interop;
using Ublk.Rings;

namespace Ublk.Control;

/// <summary>The control node open, and an io_uring through which commands go to it.</summary>
internal sealed unsafe class ControlRing : IControlChannel
{
    private const ulong CancelMark = ulong.MaxValue;

    // What a cancelled command takes to come back.
    private static readonly TimeSpan CancelTimeout = TimeSpan.FromSeconds(1);

    private readonly SafeFileHandle _device;
    private readonly Ring _ring;
    private ulong _sequence;
    private bool _isAbandoned;

    /// <summary>Opens the control node.</summary>
    /// <exception cref="UblkException">There is no driver, or the caller may not talk to it.</exception>
    public ControlRing()
    {
        _device = Libc.Open(ControlDevice.Path, Libc.O_RDWR);
        if (_device.IsInvalid)
        {
            throw DriverError.ForOpen(Libc.LastErrno, isLoaded: Directory.Exists("/sys/class/ublk-char"));
        }

        _ring = Ring.CreateForControl(4);
        Buffer = (byte*)NativeMemory.AllocZeroed(IControlChannel.BufferSize);
    }

    /// <inheritdoc/>
    public byte* Buffer { get; }

    /// <inheritdoc/>
    public int Send(uint command, in UblkControlCommand payload, TimeSpan timeout)
    {
        ulong sequence = ++_sequence;
        IoUringSqe* entry = _ring.NextEntry();
        entry->Opcode = IoUring.OpUringCmd;
        entry->Fd = (int)_device.DangerousGetHandle();
        entry->CommandOp = command;
        entry->UserData = sequence;
        *(UblkControlCommand*)&entry->Command = payload;
        if (TryAwait(sequence, timeout, out int result))
        {
            return result;
        }

        Cancel(sequence);
        if (TryAwait(sequence, CancelTimeout, out result))
        {
            return result is -Libc.EINTR or -Libc.ECANCELED ? -Libc.ETIMEDOUT : result;
        }

        _isAbandoned = true;
        return -Libc.ETIMEDOUT;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ring.Dispose();
        _device.Dispose();

        // A command that was abandoned may still write its answer.
        if (!_isAbandoned)
        {
            NativeMemory.Free(Buffer);
        }
    }

    private void Cancel(ulong sequence)
    {
        IoUringSqe* entry = _ring.NextEntry();
        entry->Opcode = IoUring.OpAsyncCancel;
        entry->Address = sequence;
        entry->UserData = CancelMark;
    }

    private bool TryAwait(ulong sequence, TimeSpan timeout, out int result)
    {
        Deadline deadline = new(timeout);
        while (true)
        {
            while (_ring.TryReap(out IoUringCqe completion))
            {
                if (completion.UserData == sequence)
                {
                    result = completion.Result;
                    return true;
                }
            }

            if (deadline.IsOver)
            {
                result = 0;
                return false;
            }

            int entered = _ring.Enter(1, deadline.Left);
            if (entered < 0 && entered is not (-Libc.ETIME or -Libc.EBUSY or -Libc.EAGAIN))
            {
                result = entered;
                return true;
            }
        }
    }
}
