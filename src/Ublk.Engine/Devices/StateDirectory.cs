using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using Ublk.Counters;
using Ublk.Interop;
using Ublk.Processes;

namespace Ublk.Devices;

/// <summary>The run-time state of one user's devices: a record for each, gone with the next boot.</summary>
/// <remarks>
/// Root reads and deletes in the directories of others. So the directory and every record must be the user's own, and
/// a name is only looked up in the directory that was checked.
/// </remarks>
internal sealed class StateDirectory
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private const int OthersWrite = 0x12;

    // Beyond every id.
    private const int NamesLockByte = 1 << 30;
    private const int ExportsLockByte = NamesLockByte + 1;

    private static readonly TimeSpan LockTimeout = TimeSpan.FromSeconds(30);

    // Room for some 300,000 threads of queues. Root reads the records of others, and must not run out of memory.
    private const int MaxRecordSize = 16 << 20;

    // As many blocks as a device may have queues, and some.
    private const uint MaxCountersSize = 64 << 20;

    private readonly uint _userId;

    internal StateDirectory(uint userId, string path)
    {
        _userId = userId;
        Path = path;
    }

    /// <summary>The caller's own: <c>/run/ublk</c> for root, else <c>ublk</c> in the user's run-time directory.</summary>
    public static StateDirectory Own
    {
        get
        {
            uint userId = Libc.GetEffectiveUserId();
            return new StateDirectory(userId, PathFor(userId, Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR")));
        }
    }

    /// <summary>Where the records are.</summary>
    public string Path { get; }

    /// <summary>A user's directory.</summary>
    public static StateDirectory Of(uint userId) => userId == Libc.GetEffectiveUserId() ? Own : new(userId, PathFor(userId, null));

    /// <summary>Where a user's records are.</summary>
    /// <param name="userId">The user.</param>
    /// <param name="runtimeDirectory">The run-time directory of the user's session; ignored unless it is an absolute path.</param>
    internal static string PathFor(uint userId, string? runtimeDirectory) => userId == 0
        ? "/run/ublk"
        : $"{(runtimeDirectory is ['/', ..] ? runtimeDirectory : $"/run/user/{userId}")}/ublk";

    /// <summary>The record of a device: null where there is none, or none that can be read and trusted to be the user's.</summary>
    public DeviceRecord? TryRead(int id)
    {
        using SafeFileHandle directory = Open();
        return directory.IsInvalid ? null : Read(directory, id);
    }

    /// <summary>
    /// The counters of a device's threads: null where there are none that can be read and trusted.
    /// </summary>
    public byte[]? TryReadCounters(int id)
    {
        using SafeFileHandle directory = Open();
        return directory.IsInvalid ? null : ReadFile(CountersPath(directory, id), MaxCountersSize);
    }

    /// <summary>
    /// The counters of a device: null where there are none, or they belong to another device of the same id.
    /// </summary>
    public static byte[]? TryReadCounters(in UblkDeviceInfo info) =>
        Of(info.OwnerUid).TryReadCounters((int)info.DeviceId) is { } counters
        && CounterHeader.CookieOf(counters) is not 0 and var cookie && cookie == info.ServerCookie
            ? counters
            : null;

    /// <summary>Makes the file of a device's counters, in the place of that of its last worker. The caller has the device's lock.</summary>
    /// <exception cref="UblkException">The directory cannot be written.</exception>
    public SafeFileHandle CreateCounters(int id, in CounterHeader header)
    {
        CreateDirectory();
        using SafeFileHandle directory = OpenOrThrow();
        string path = UnfinishedPath(CountersPath(directory, id), header.Cookie);
        long length = CounterMemory.LengthFor((int)header.Threads);
        SafeFileHandle? file = null;
        try
        {
            // Allocated now: a full directory is an error here, and would be a signal that kills when a thread counts.
            file = CreateFile(path);
            if (Libc.FAllocate(file, 0, 0, length) != 0)
            {
                throw new IOException($"{Libc.Describe(Libc.LastErrno)}.");
            }

            RandomAccess.Write(file, MemoryMarshal.AsBytes(new ReadOnlySpan<CounterHeader>(in header)), 0);
            File.Move(path, CountersPath(directory, id), overwrite: true);
            return file;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            file?.Dispose();
            File.Delete(path);
            throw NotWritable(exception.Message);
        }
    }

    /// <summary>
    /// Writes a record whole: a reader sees the old one or the new one, never half of one. The caller has the device's lock.
    /// </summary>
    /// <exception cref="UblkException">The directory cannot be written.</exception>
    public void Write(DeviceRecord record)
    {
        using SafeFileHandle directory = OpenOrThrow();
        int id = record.Specification.Id!.Value;
        byte[] text = JsonSerializer.SerializeToUtf8Bytes(record, RecordJson.Default.DeviceRecord);
        if (text.Length > MaxRecordSize)
        {
            throw new UblkException(UblkError.InvalidArgument,
                $"The record of device {id} would have {text.Length} bytes, and none may have more than {MaxRecordSize}. Use fewer "
                    + "queues, or fewer threads for each.", deviceId: id);
        }

        WriteWhole(RecordPath(directory, id), UnfinishedPath(RecordPath(directory, id), record.Specification.Cookie), text);
    }

    /// <summary>Changes the record of a device under the device's lock. Nothing is written if the device has no record.</summary>
    /// <exception cref="UblkException">The directory cannot be written, or the lock is not free in time.</exception>
    /// <exception cref="OperationCanceledException">It was canceled; the record is unchanged.</exception>
    public void Change(int id, ulong cookie, Func<DeviceRecord, DeviceRecord> change, CancellationToken cancellation)
    {
        using SafeFileHandle idLock = LockDevice(id, cancellation);
        if (TryRead(id) is not { } record || record.Specification.Cookie != cookie)
        {
            return;
        }

        Write(change(record));

        // A removal in the meantime has deleted the former record.
        if (!DeviceInventory.HasCharDevice(id) || !DeviceIdentity.Exists(id, cookie))
        {
            Delete(id, cookie);
        }
    }

    /// <summary>Removes the record of a device, and its counters, unless another device has taken the id and written its own.</summary>
    public void Delete(int id, ulong cookie)
    {
        using SafeFileHandle directory = Open();
        if (directory.IsInvalid)
        {
            return;
        }

        File.Delete(UnfinishedPath(RecordPath(directory, id), cookie));
        File.Delete(UnfinishedPath(CountersPath(directory, id), cookie));
        File.Delete(SocketPath(directory, id, cookie));
        foreach (string state in Directory.GetFiles(PathOf(directory), TargetStateName(id, cookie, "*")))
        {
            File.Delete(state);
        }

        if (Read(directory, id)?.Specification.Cookie == cookie)
        {
            File.Delete(RecordPath(directory, id));
        }

        if (ReadFile(CountersPath(directory, id), MaxCountersSize) is { } counters && CounterHeader.CookieOf(counters) == cookie)
        {
            File.Delete(CountersPath(directory, id));
        }
    }

    /// <summary>
    /// A file, in memory, for what the target of a device keeps beyond its worker's life. <see cref="Delete"/> takes it too.
    /// </summary>
    /// <param name="id">The device.</param>
    /// <param name="cookie">Its cookie.</param>
    /// <param name="generation">How often the disk was opened anew by one of its workers: each target has a file of its own.</param>
    public string TargetStatePath(int id, ulong cookie, int generation) =>
        System.IO.Path.Combine(Path, TargetStateName(id, cookie, generation == 0 ? "" : $"-{generation}"));

    /// <summary>
    /// Listens for commands to the worker of a device. The caller has the device's lock. <see cref="Delete"/> takes the socket's file.
    /// </summary>
    /// <exception cref="UblkException">The directory cannot be written.</exception>
    public Socket Listen(int id, ulong cookie)
    {
        CreateDirectory();
        using SafeFileHandle directory = OpenOrThrow();
        Socket socket = LineChannel.CreateSocket();
        try
        {
            // A former worker left its socket, or a removal was killed before it deleted the socket.
            foreach (string former in Directory.GetFiles(PathOf(directory), $"{id}-*.socket"))
            {
                File.Delete(former);
            }

            socket.Bind(new UnixDomainSocketEndPoint(SocketPath(directory, id, cookie)));
            socket.Listen();
            return socket;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or SocketException)
        {
            socket.Dispose();
            throw NotWritable(exception.Message);
        }
    }

    /// <summary>Connects to the worker of a device.</summary>
    /// <returns>The channel; null where no worker listens.</returns>
    public LineChannel? TryConnect(int id, ulong cookie)
    {
        using SafeFileHandle directory = Open();
        if (directory.IsInvalid)
        {
            return null;
        }

        Socket socket = LineChannel.CreateSocket();
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(SocketPath(directory, id, cookie)));
            return new LineChannel(socket);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <summary>Locks a device's id: one command at a time makes, restores or changes a device. Disposing unlocks.</summary>
    /// <exception cref="UblkException">The directory cannot be written, or the lock was not acquired within the timeout.</exception>
    public SafeFileHandle LockDevice(int id, CancellationToken cancellation) =>
        Lock(id, $"Another command is at work on device {id}", cancellation);

    /// <summary>Locks a device's id; null where another command has it.</summary>
    /// <exception cref="UblkException">The directory cannot be written.</exception>
    public SafeFileHandle? TryLockDevice(int id)
    {
        SafeFileHandle file = OpenLock();
        if (IsLocked(file, id))
        {
            return file;
        }

        file.Dispose();
        return null;
    }

    /// <summary>Locks the names of the devices, which no two may share. Disposing unlocks.</summary>
    /// <exception cref="UblkException">The directory cannot be written, or the lock was not acquired within the timeout.</exception>
    public SafeFileHandle LockNames(CancellationToken cancellation) =>
        Lock(NamesLockByte, "Another command is naming a device", cancellation);

    /// <summary>Locks the exports: one command at a time makes or removes one. Disposing unlocks.</summary>
    /// <exception cref="UblkException">The directory cannot be written, or the lock was not acquired within the timeout.</exception>
    public SafeFileHandle LockExports(CancellationToken cancellation) =>
        Lock(ExportsLockByte, "Another command makes or removes an export", cancellation);

    /// <summary>A file of a name; null where there is none that can be read and trusted to be the user's.</summary>
    public byte[]? TryReadFile(string name)
    {
        using SafeFileHandle directory = Open();
        return directory.IsInvalid ? null : ReadFile($"{PathOf(directory)}/{name}", MaxRecordSize);
    }

    /// <summary>Writes a file whole: a reader sees the old one or the new one.</summary>
    /// <exception cref="UblkException">The directory cannot be written.</exception>
    public void WriteFile(string name, byte[] text)
    {
        CreateDirectory();
        using SafeFileHandle directory = OpenOrThrow();
        string path = $"{PathOf(directory)}/{name}";
        WriteWhole(path, $"{path}.new", text);
    }

    /// <summary>Deletes a file, if it is there.</summary>
    public void DeleteFile(string name)
    {
        using SafeFileHandle directory = Open();
        if (!directory.IsInvalid)
        {
            File.Delete($"{PathOf(directory)}/{name}");
        }
    }

    /// <summary>The names of files by a pattern such as <c>*.json</c>.</summary>
    public IReadOnlyList<string> FindFiles(string pattern)
    {
        using SafeFileHandle directory = Open();
        return directory.IsInvalid
            ? []
            : [.. Directory.EnumerateFiles(PathOf(directory), pattern).Select(file => System.IO.Path.GetFileName(file))];
    }

    private SafeFileHandle Lock(int place, string what, CancellationToken cancellation)
    {
        SafeFileHandle file = OpenLock();
        try
        {
            return new Deadline(LockTimeout).Wait(() => IsLocked(file, place), cancellation)
                ? file
                : throw new UblkException(UblkError.TimedOut, $"{what}, and has been for {LockTimeout.TotalSeconds} s.");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    // A byte of the file stands for each id. The kernel drops a lock with the process that has it.
    private static bool IsLocked(SafeFileHandle file, int place) => Libc.TryLock(file, Libc.F_WRLCK, place, 1) == 0;

    private void CreateDirectory()
    {
        try
        {
            Directory.CreateDirectory(Path, OwnerOnly);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(exception.Message);
        }
    }

    private SafeFileHandle OpenLock()
    {
        CreateDirectory();
        using SafeFileHandle directory = OpenOrThrow();
        SafeFileHandle file = Libc.Open($"{PathOf(directory)}/lock", Libc.O_RDWR | Libc.O_CREAT | Libc.O_NOFOLLOW, Libc.OwnerReadWrite);
        return file.IsInvalid ? throw NotWritable($"{Libc.Describe(Libc.LastErrno)}.") : file;
    }

    // Through the open directory, whatever its path leads to by now (proc(5)).
    private static string PathOf(SafeFileHandle directory) => $"/proc/self/fd/{directory.DangerousGetHandle()}";

    private static string TargetStateName(int id, ulong cookie, string generation) => $"{id}-{cookie:x16}{generation}.state";

    private static string SocketPath(SafeFileHandle directory, int id, ulong cookie) =>
        $"{PathOf(directory)}/{id}-{cookie:x16}.socket";

    private static string RecordPath(SafeFileHandle directory, int id) => $"{PathOf(directory)}/{id}.json";

    private static string CountersPath(SafeFileHandle directory, int id) => $"{PathOf(directory)}/{id}.counters";

    // A device's own: what is left of one is never taken for that of the next with its id.
    private static string UnfinishedPath(string path, ulong cookie) => $"{path}.{cookie:x16}";

    private void WriteWhole(string path, string unfinished, byte[] text)
    {
        try
        {
            using (SafeFileHandle file = CreateFile(unfinished))
            {
                RandomAccess.Write(file, text, 0);
            }

            File.Move(unfinished, path, overwrite: true);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw NotWritable(exception.Message);
        }
    }

    // Always a new file, and readable by the owner alone even if the directory is opened to others.
    private static SafeFileHandle CreateFile(string path)
    {
        File.Delete(path);
        SafeFileHandle file = Libc.Open(path, Libc.O_RDWR | Libc.O_CREAT | Libc.O_EXCL, Libc.OwnerReadWrite);
        return file.IsInvalid ? throw new IOException($"{Libc.Describe(Libc.LastErrno)}.") : file;
    }

    private DeviceRecord? Read(SafeFileHandle directory, int id) =>
        ReadFile(RecordPath(directory, id), MaxRecordSize) is { } text
            ? DeviceRecord.TryParse(text, isOthers: _userId != Libc.GetEffectiveUserId())
            : null;

    private byte[]? ReadFile(string path, uint maxSize)
    {
        // A pipe in its place must not make the reader wait, nor a link lead it elsewhere.
        using SafeFileHandle file = Libc.Open(path, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK);
        if (file.IsInvalid || Libc.Statx(file, out Libc.StatxBuffer state) != 0
            || !state.IsRegular || state.UserId != _userId || state.Size > maxSize)
        {
            return null;
        }

        try
        {
            byte[] bytes = new byte[state.Size];
            int count = RandomAccess.Read(file, bytes, 0);
            return bytes[..count];
        }
        catch (IOException)
        {
            return null;
        }
    }

    // Invalid where there is none, or none that is the user's own.
    private SafeFileHandle Open()
    {
        SafeFileHandle directory = Libc.Open(Path, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK);
        if (!directory.IsInvalid
            && (Libc.Statx(directory, out Libc.StatxBuffer state) != 0 || !state.IsDirectory
                || state.UserId != _userId || (state.Mode & OthersWrite) != 0))
        {
            directory.Dispose();
            return new SafeFileHandle();
        }

        return directory;
    }

    private SafeFileHandle OpenOrThrow()
    {
        SafeFileHandle directory = Open();
        return directory.IsInvalid ? throw NotWritable("It does not exist, is not yours, or other users can write to it.") : directory;
    }

    private UblkException NotWritable(string reason) => new(UblkError.StateDirectoryNotWritable,
        $"The state directory {Path} cannot be written: {reason} " + (_userId == 0
            ? "It takes a /run that is mounted writable and not full."
            : "Set XDG_RUNTIME_DIR to a directory of your own, as a login does."));
}
