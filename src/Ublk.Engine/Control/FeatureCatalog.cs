using System.Numerics;

namespace Ublk.Control;

/// <summary>The driver's features: since which kernel, their meaning, and their use here.</summary>
internal static class FeatureCatalog
{
    private static readonly Entry[] Entries =
    [
        new(UblkFeatures.SupportZeroCopy, "6.15",
            "The server can register request pages as io_uring buffers, which avoids copies.",
            "New-UblkDevice -BufferMode ZeroCopy"),
        new(UblkFeatures.UringCmdCompInTask, "6.0", "Requests are completed in task work; always on."),
        new(UblkFeatures.NeedGetData, "6.0", "The driver asks the server for a buffer for each write."),
        new(UblkFeatures.UserRecovery, "6.1", "A disk outlives its server, and requests wait for the next one.",
            "New-UblkDevice -Recovery Queue", "New-UblkDevice -AutoRestart", "Start-UblkDevice"),
        new(UblkFeatures.UserRecoveryReissue, "6.1", "Requests in flight at a dead server are reissued to the next one.",
            "New-UblkDevice -Recovery Reissue"),

        // In the driver since 6.3, but drivers before 6.5 do not report features, and this one is not safe to try.
        new(UblkFeatures.UnprivilegedDev, "6.5", "Ordinary users can make devices.", "New-UblkDevice -Unprivileged"),
        new(UblkFeatures.CmdIoctlEncode, "6.4", "Commands have ioctl(2) encoding; older drivers take bare numbers."),
        new(UblkFeatures.UserCopy, "6.5", "The server copies data by reading and writing the character device.",
            "New-UblkDevice -BufferMode UserCopy"),
        new(UblkFeatures.Zoned, "6.6", "Zoned disks."),
        new(UblkFeatures.UserRecoveryFailIo, "6.13", "A disk outlives its server, and requests fail until the next one.",
            "New-UblkDevice -Recovery Fail"),
        new(UblkFeatures.UpdateSize, "6.16", "A live disk can change its size.", "Resize-UblkDevice"),
        new(UblkFeatures.AutoBufReg, "6.16", "The driver registers request pages as io_uring buffers by itself."),
        new(UblkFeatures.Quiesce, "6.16", "A live disk can be suspended and continued by another server.", "Suspend-UblkDevice",
            "Update-UblkDevice"),
        new(UblkFeatures.PerIoDaemon, "6.16", "Each request slot may have a thread of its own.", "New-UblkDevice -ThreadsPerQueue"),
        new(UblkFeatures.BufRegOffDaemon, "6.17", "Any thread may register buffers."),
        new(UblkFeatures.BatchIo, "7.0", "One command fetches or completes many requests."),
        new(UblkFeatures.Integrity, "7.0", "Integrity metadata beside the data."),
        new(UblkFeatures.SafeStopDev, "7.0",
            "A disk is stopped only if it is not open; with older drivers, openers are looked for first.",
            "Remove-UblkDevice", "Stop-UblkDevice"),
        new(UblkFeatures.NoAutoPartScan, "7.0", "The partition table is left unread.", "New-UblkDevice -NoPartitionScan"),
        new(UblkFeatures.ShmemZc, "7.1", "Zero copy through memory shared with the client."),
        new(UblkFeatures.IoDescSize, "7.3", "The server chooses the stride of the descriptors."),
    ];

    /// <summary>The names of all features, by bit.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Entries.Select(entry => entry.Name)];

    // What the kernel calls itself, without the distribution's part.
    private static Version Kernel { get; } = new(Environment.OSVersion.Version.Major, Environment.OSVersion.Version.Minor);

    /// <summary>Every feature, by bit, as this kernel's driver has it.</summary>
    /// <exception cref="UblkException">There is no driver, or the caller may not ask it.</exception>
    public static IReadOnlyList<UblkFeature> List()
    {
        using ControlDevice control = new();
        return List(control.Features, Kernel);
    }

    /// <summary>Every feature, by bit, for what a driver said.</summary>
    internal static IReadOnlyList<UblkFeature> List(UblkFeatures said, Version kernel) =>
        [.. Entries.Select(entry => entry.Describe(said, kernel))];

    /// <summary>Checks that a driver has a feature.</summary>
    /// <param name="features">The driver's features.</param>
    /// <param name="feature">The feature.</param>
    /// <param name="what">What needs it, as the beginning of a sentence.</param>
    /// <param name="id">The device it is needed for; null where it has no id yet.</param>
    /// <returns>The feature.</returns>
    /// <exception cref="UblkException">The driver lacks it; the message names the kernel that is needed and the one that runs.</exception>
    internal static UblkFeatures Require(UblkFeatures features, UblkFeatures feature, string what, int? id = null) =>
        features.HasFlag(feature)
            ? feature
            : throw new UblkException(UblkError.NotSupported,
                $"{what} {Entries.Single(entry => entry.Flag == feature).Explain(Kernel)}.", deviceId: id);

    private sealed record Entry(UblkFeatures Flag, string Since, string Description, params string[] Parameters)
    {
        public string Name => Flag.ToString();

        public UblkFeature Describe(UblkFeatures said, Version kernel)
        {
            Version since = Version.Parse(Since);

            // A driver before 6.5 cannot be asked; its kernel's version is all there is to go by.
            bool supported = said == UblkFeatures.None ? since <= kernel : said.HasFlag(Flag);
            return new UblkFeature
            {
                Name = Name,
                Bit = BitOperations.Log2((ulong)Flag),
                Supported = supported,
                Since = since,
                Description = Description,
                Parameters = Parameters,
                Note = supported ? null : Explain(kernel),
            };
        }

        public string Explain(Version kernel) => kernel < Version.Parse(Since)
            ? $"needs kernel {Since} or newer, this is {kernel}"
            : $"needs the driver of kernel {Since} or newer, and that of this kernel ({kernel}) lacks it";
    }
}
