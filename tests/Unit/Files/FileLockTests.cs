using System.Diagnostics;
using Ublk.Files;
using Ublk.Targets;
using Ublk.Targets.Loop;
using Ublk.Tests.Qcow2;

namespace Ublk.Tests.Files;

/// <summary>Our locks against those of the real qemu-io, both ways.</summary>
public class FileLockTests
{
    private const string Write = "write -P 9 0 4k";

    public enum Opener
    {
        Loop,
        Image,
        RawBackingFile,
        Qcow2BackingFile,
        DataFile,
        Operation,
    }

    [Theory]
    [InlineData(Opener.Loop)]
    [InlineData(Opener.Image)]
    [InlineData(Opener.RawBackingFile)]
    [InlineData(Opener.Qcow2BackingFile)]
    [InlineData(Opener.DataFile)]
    [InlineData(Opener.Operation)]
    public void What_we_read_qemu_reads_and_does_not_write(Opener opener)
    {
        using QemuImage image = new("1M");
        (string path, string format) = Prepare(image, opener);
        using IDisposable reader = OpenForReading(image, opener);
        Assert.Contains("lock", Fail("qemu-io", "-f", format, "-c", Write, path), StringComparison.Ordinal);
        Shell.Run("qemu-io", "-r", "-f", format, "-c", "read 0 4k", path);
    }

    [Theory]
    [InlineData(Opener.Loop)]
    [InlineData(Opener.Image)]
    [InlineData(Opener.RawBackingFile)]
    [InlineData(Opener.Qcow2BackingFile)]
    [InlineData(Opener.DataFile)]
    [InlineData(Opener.Operation)]
    public void What_qemu_writes_we_do_not_read(Opener opener)
    {
        using QemuImage image = new("1M");
        (string path, string format) = Prepare(image, opener);
        using (new QemuIo(format, path, readOnly: false))
        {
            Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => OpenForReading(image, opener).Dispose()).Error);
        }

        OpenForReading(image, opener).Dispose();
    }

    [Theory]
    [InlineData(Opener.Loop)]
    [InlineData(Opener.RawBackingFile)]
    [InlineData(Opener.Qcow2BackingFile)]
    public void What_qemu_reads_we_read(Opener opener)
    {
        using QemuImage image = new("1M");
        (string path, string format) = Prepare(image, opener);
        using QemuIo reader = new(format, path, readOnly: true);
        OpenForReading(image, opener).Dispose();
    }

    [Fact]
    public void What_we_write_qemu_does_not_open_and_the_other_way_round()
    {
        using TemporaryFile file = new(1 << 20);
        using (LoopTarget target = OpenLoop(file.Path, readOnly: false))
        {
            Assert.Contains("lock", Fail("qemu-io", "-r", "-f", "raw", "-c", "read 0 4k", file.Path), StringComparison.Ordinal);
        }

        using QemuIo reader = new("raw", file.Path, readOnly: true);
        Assert.Equal(UblkError.BackingFileInUse, Assert.Throws<UblkException>(() => OpenLoop(file.Path, readOnly: false)).Error);
    }

    // The file that is opened, and its format.
    private static (string Path, string Format) Prepare(QemuImage image, Opener opener)
    {
        switch (opener)
        {
            case Opener.RawBackingFile:
                File.WriteAllBytes(image.PathOf("base"), new byte[1 << 20]);
                image.Create("disk.qcow2", "1M", "", "-F", "raw", "-b", "base");
                return (image.PathOf("base"), "raw");
            case Opener.Qcow2BackingFile:
                image.Create("base", "1M");
                image.Create("disk.qcow2", "1M", "", "-F", "qcow2", "-b", "base");
                return (image.PathOf("base"), "qcow2");
            case Opener.DataFile:
                File.Delete(image.Path);
                image.Create("disk.qcow2", "1M", $"data_file={image.PathOf("data")}");
                return (image.PathOf("data"), "raw");
            case Opener.Loop:
                File.WriteAllBytes(image.PathOf("loop"), new byte[1 << 20]);
                return (image.PathOf("loop"), "raw");
            default:
                return (image.Path, "qcow2");
        }
    }

    private static IDisposable OpenForReading(QemuImage image, Opener opener) => opener switch
    {
        Opener.Loop => OpenLoop(image.PathOf("loop"), readOnly: true),
        Opener.Operation => DiskFile.OpenForReading(image.Path),
        _ => Qcow2Disk.Open(image.Path, readOnly: opener is Opener.Image or Opener.DataFile),
    };

    private static LoopTarget OpenLoop(string path, bool readOnly) =>
        LoopTarget.Open(new TargetOptions(new Dictionary<string, string> { ["Path"] = path }) { ReadOnly = readOnly });

    private static string Fail(string program, params string[] arguments)
    {
        using Process process =
            Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string text = process.StandardError.ReadToEnd() + process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.NotEqual(0, process.ExitCode);
        return text;
    }

    /// <summary>A qemu-io that has a file open until it is disposed.</summary>
    private sealed class QemuIo : IDisposable
    {
        private readonly Process _process;

        public QemuIo(string format, string path, bool readOnly)
        {
            _process = Process.Start(new ProcessStartInfo("qemu-io", readOnly ? ["-r", "-f", format, path] : ["-f", format, path])
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
            })!;
            _process.StandardInput.WriteLine("length");
            string? line;
            do
            {
                line = _process.StandardOutput.ReadLine();
            }
            while (line?.Contains("MiB", StringComparison.Ordinal) == false);

            Assert.NotNull(line);
        }

        public void Dispose()
        {
            _process.StandardInput.WriteLine("quit");
            _process.WaitForExit();
            _process.Dispose();
        }
    }
}
