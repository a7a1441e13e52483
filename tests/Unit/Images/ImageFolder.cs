using System.Diagnostics;
using System.Text.Json;
using Ublk.Files;
using Ublk.Images;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Images;

/// <summary>A folder of images that goes with the test, and what qemu's tools say of them.</summary>
internal sealed class ImageFolder : IDisposable
{
    // In memory: nothing here is about durability.
    private readonly DirectoryInfo _directory = Directory.CreateDirectory($"/dev/shm/ublk-images-{Guid.NewGuid():N}");

    /// <summary>A path in the folder.</summary>
    public string this[string name] => Path.Combine(_directory.FullName, name);

    /// <summary>The names of all there is.</summary>
    public IEnumerable<string> Names => _directory.EnumerateFileSystemInfos().Select(entry => entry.Name).Order();

    /// <summary>Makes an image with our own tools.</summary>
    public string Create(string name, long size, NewImageOptions? options = null)
    {
        new CreateImage { Path = this[name], Size = size, Options = options ?? Qcow2() }.Run(ImageProgress.None);
        return this[name];
    }

    /// <summary>Makes an image with qemu's.</summary>
    public string QemuCreate(string name, string size, string options = "", params string[] more)
    {
        Shell.Run("qemu-img",
            ["create", "-q", "-f", "qcow2", .. options.Length == 0 ? Array.Empty<string>() : ["-o", options], .. more, this[name], size]);
        return this[name];
    }

    /// <summary>Has qemu-io do things to an image.</summary>
    public static void Play(string image, params string[] commands) => Shell.Run("qemu-io",
        ["-f", "qcow2", .. commands.SelectMany(command => new[] { "-c", command }), image]);

    /// <summary>Options of a qcow2 image.</summary>
    public static NewImageOptions Qcow2() => new() { Format = ImageFormat.Qcow2 };

    /// <summary>Checks with our own check.</summary>
    public static ImageCheckResult Check(string image, bool repair = false) =>
        new CheckImage { Path = image, Repair = repair ? ImageRepair.All : ImageRepair.None }.Run(ImageProgress.None);

    /// <summary>What <c>qemu-img check</c> says.</summary>
    public static QemuCheck QemuCheckOf(string image)
    {
        string output = Output("qemu-img", "check", "--output=json", "-f", "qcow2", image);
        JsonElement json = JsonDocument.Parse(output).RootElement;
        long Get(string name) => json.TryGetProperty(name, out JsonElement value) ? value.GetInt64() : 0;
        return new QemuCheck(Get("corruptions") + Get("check-errors"), Get("leaks"), Get("allocated-clusters"), Get("compressed-clusters"),
            Get("fragmented-clusters"), Get("image-end-offset"));
    }

    /// <summary>What qemu warns of when it opens an image to read it.</summary>
    public static string WarningsOf(string image)
    {
        ProcessStartInfo start = new("qemu-img", ["info", image]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        string warnings = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Contains("qcow2", output.Result);
        return warnings;
    }

    /// <summary>An image must be without errors and leaks, by qemu's check and by ours.</summary>
    public static void RequireClean(string image)
    {
        Shell.Run("qemu-img", "check", "-q", "-f", "qcow2", image);
        ImageCheckResult check = Check(image);
        Assert.True(check.Condition == ImageCondition.Clean, string.Join("\n", check.Findings));
    }

    /// <summary>Two images must have the same content.</summary>
    public static void RequireSame(string one, string oneFormat, string other, string otherFormat) =>
        Shell.Run("qemu-img", "compare", "-q", "-f", oneFormat, "-F", otherFormat, one, other);

    public void Dispose() => _directory.Delete(recursive: true);

    // Its exit code says what it found, which is no failure here.
    private static string Output(string program, params string[] arguments)
    {
        using Process process =
            Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(output.Length > 0, error.Result);
        return output;
    }
}

/// <summary>The counts of a <c>qemu-img check</c>.</summary>
internal sealed record QemuCheck(
    long Corruptions, long Leaks, long AllocatedClusters, long CompressedClusters, long FragmentedClusters, long EndOffset);
