using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Ublk.Control;
using Ublk.Counters;
using Ublk.Files;
using Ublk.Interop;

namespace Ublk.Devices;

/// <summary>The ublk devices of this kernel, of any server.</summary>
internal static class DeviceInventory
{
    private const string CharDevices = "/sys/class/ublk-char";

    /// <summary>Every device, by id. What the caller may not know is null.</summary>
    public static IReadOnlyList<UblkDevice> List()
    {
        if (!Directory.Exists(CharDevices))
        {
            return [];
        }

        using ControlDevice? control = TryOpenControl();
        UserTables tables = new();
        return
        [
            .. Directory.EnumerateFileSystemEntries(CharDevices)
                .Select(path => int.Parse(Path.GetFileName(path).AsSpan("ublkc".Length), CultureInfo.InvariantCulture))
                .Order()
                .Select(id => Describe(control, id, tables))
                .OfType<UblkDevice>(),
        ];
    }

    /// <summary>One device, or null.</summary>
    public static UblkDevice? Find(int id)
    {
        if (!HasCharDevice(id))
        {
            return null;
        }

        using ControlDevice? control = TryOpenControl();
        return Describe(control, id, new UserTables());
    }

    /// <summary>One device, which must exist.</summary>
    /// <exception cref="UblkException">It does not exist.</exception>
    public static UblkDevice Get(int id) =>
        Find(id) ?? throw new UblkException(UblkError.DeviceNotFound, $"There is no ublk device {id}.", deviceId: id);

    /// <summary>One device, or null, through an open control node.</summary>
    internal static UblkDevice? Find(ControlDevice control, int id) => HasCharDevice(id) ? Describe(control, id, new UserTables()) : null;

    /// <summary>The state of a device that the driver has reported.</summary>
    internal static DeviceState StateOf(UblkDeviceInfo info) =>
        DeviceStates.Of((DriverState)info.State, RecordOf((int)info.DeviceId, info));

    /// <summary>Checks that there is a driver and that the caller may use it.</summary>
    /// <exception cref="UblkException">There is no driver, or the caller may not use it.</exception>
    public static void RequireDriver()
    {
        using ControlDevice control = new();
    }

    /// <summary>Whether the driver shows a device of this id.</summary>
    internal static bool HasCharDevice(int id) => Directory.Exists($"{CharDevices}/ublkc{id}");

    [SuppressMessage("Reliability", "CA2000", Justification = "The caller disposes it.")]
    private static ControlDevice? TryOpenControl()
    {
        try
        {
            return new ControlDevice();
        }
        catch (UblkException)
        {
            return null;
        }
    }

    private static UblkDevice? Describe(ControlDevice? control, int id, UserTables tables)
    {
        UblkDeviceInfo? info = null;
        if (control is not null)
        {
            int result = control.TryGetInfo(id, out UblkDeviceInfo known);
            if (result == -Libc.ENODEV)
            {
                return null;
            }

            info = result >= 0 ? known : null;
        }

        DeviceRecord? record = RecordOf(id, info);
        SysfsDisk disk = new(id);
        UblkParameters? parameters = MayAskParameters(disk, info) && control!.TryGetParameters(id, out UblkParameters stored) >= 0
            ? stored
            : null;
        return new UblkDevice
        {
            Id = id,
            Name = info?.OwnerUid == 0 ? record?.Specification.Name : null,
            Target = record?.Specification.Target,
            Options = record?.Specification.Options ?? new Dictionary<string, string>(),
            Assembly = record?.Specification.Assembly,
            Filters = record?.Specification.Filters ?? [],
            BackingPath = record?.BackingPath,
            BackingFile = record?.BackingFile,
            Mirror = record?.Mirror,
            IsBackingDeleted = info is { ServerPid: > 0 } worker ? record?.BackingFile?.IsDeletedIn(worker.ServerPid) : null,
            Size = disk.Size ?? (parameters is { } p ? (long)p.DeviceSectors << UblkAbi.SectorShift : null),
            State = info is { } i ? DeviceStates.Of((DriverState)i.State, record) : null,
            ReadOnly = disk.ReadOnly ?? (parameters is { } r ? (r.Attributes & UblkAbi.AttrReadOnly) != 0 : null),
            LogicalBlockSize = disk.LogicalBlockSize ?? (parameters is { } l ? 1 << l.LogicalBlockShift : null),
            PhysicalBlockSize = disk.PhysicalBlockSize ?? (parameters is { } h ? 1 << h.PhysicalBlockShift : null),
            QueueCount = info?.QueueCount ?? disk.QueueCount ?? record?.Specification.QueueCount,
            ThreadsPerQueue = record?.Specification.ThreadsPerQueue,
            QueueDepth = info?.QueueDepth ?? record?.Specification.QueueDepth,
            MaxIoSize = info is { } m ? (int)m.MaxIoBufferBytes : disk.MaxIoSize,
            ProcessId = info is { ServerPid: > 0 } s ? s.ServerPid : null,
            WorkerVersion = record?.WorkerVersion,
            Owner = info is { } o ? tables.OwnerName(o.OwnerUid) : null,
            Flags = info is { } f ? (UblkFeatures)f.Flags : null,
            Queues = record?.Queues ?? [],
            DeviceNumber = disk.DeviceNumber,
            CharDeviceNumber = KernelFiles.Read($"{CharDevices}/ublkc{id}/dev"),
            Holders = DeviceUsers.Holders(id, tables),
            MountPoints = DeviceUsers.MountPoints(id, tables),
            StartTime = record?.StartTime.ToLocalTime(),
            WriteCache = record?.Specification.WriteCache,
            Recovery = record?.Specification.Recovery,
            AutoRestart = record?.Specification.AutoRestart,
            Restarts = record?.Specification.AutoRestart == true ? record.Restarts : null,
            LastExit = record?.LastExit,
            TargetProperties = record?.TargetProperties ?? new Dictionary<string, string>(),
            TargetStatistics = info is { ServerPid: > 0 } served && StateDirectory.TryReadCounters(served) is { } counters
                ? TargetCounterSlot.Read(counters)
                : [],
            IsComplete = info is not null,
            DriverState = info is { } d ? (DriverState)d.State : null,
            OwnerIds = info is { } u ? (u.OwnerUid, u.OwnerGid) : null,
            Cookie = info?.ServerCookie,
        };
    }

    // The driver answers this question alone under the device's lock, which a start or a stop keeps for as long as the server leaves
    // a request unanswered. While the disk is there sysfs knows what it needs; a live device without one is being stopped.
    private static bool MayAskParameters(SysfsDisk disk, UblkDeviceInfo? info) =>
        info is { } known && disk.Size is null && known.State != (ushort)DriverState.Live;

    // The cookie distinguishes this device's record from one that a killed worker left under the same id. Only the owner and
    // the cookie that the driver reports vouch for a record.
    private static DeviceRecord? RecordOf(int id, UblkDeviceInfo? info)
    {
        DeviceRecord? record = info is { } known ? StateDirectory.Of(known.OwnerUid).TryRead(id) : null;
        return record?.Specification.Cookie == info?.ServerCookie ? record : null;
    }
}
