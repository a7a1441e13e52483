using System.Buffers.Binary;
using Ublk.Images;

namespace Ublk.Tests.Qcow2.Crash;

/// <summary>
/// A power cut, or an error of the host's file, at any instant of a change that a cmdlet makes in place leaves the image as it was before
/// or as it was to be. UBLK_SEEDS tells how often to try each change (once by default, with a cut after some of the writes).
/// </summary>
public class EditCrashTests(ITestOutputHelper output)
{
    private static readonly Dictionary<string, Func<string, long, ImageOperation>> s_operations = new()
    {
        ["create a snapshot"] = (path, _) => new CreateSnapshot { Path = path, Name = "new" },
        ["restore a snapshot"] = (path, _) => new RestoreSnapshot { Path = path, Snapshot = "one" },
        ["remove a snapshot"] = (path, _) => new RemoveSnapshot { Path = path, Snapshot = "one" },
        ["grow"] = (path, size) => new ResizeImage { Path = path, Size = size + (200 << 10) },
        ["shrink"] = (path, _) => new ResizeImage { Path = path, Size = 100 << 10, Shrink = true },
        ["add a bitmap"] = (path, _) => new CreateBitmap { Path = path, Name = "new", Granularity = 512 },
        ["clear a bitmap"] = (path, _) => new ClearBitmap { Path = path, Bitmap = "b0" },
        ["remove a bitmap"] = (path, _) => new RemoveBitmap { Path = path, Bitmap = "b0" },
        ["optimize"] = (path, _) => new OptimizeImage { Path = path },
        ["repair"] = (path, _) => new CheckImage { Path = path, Repair = ImageRepair.All },
    };

    public static TheoryData<string> Operations => [.. s_operations.Keys];

    [Theory]
    [MemberData(nameof(Operations))]
    public void Whatever_happens_leaves_the_image_before_or_after(string operation)
    {
        int? rounds = int.TryParse(Environment.GetEnvironmentVariable("UBLK_SEEDS"), out int number) ? number : null;
        int possible = 0;
        int cuts = 0;
        for (int place = 0; place < ImageKind.Count; place++)
        {
            ImageKind kind = ImageKind.Get(place);
            for (int seed = 0; seed < (rounds ?? 1); seed++)
            {
                try
                {
                    using EditRun run =
                        new(FilesOf(kind, operation, seed), path => s_operations[operation](path, kind.Content.Length), new Random(seed));
                    if (!run.IsPossible)
                    {
                        break;
                    }

                    possible++;
                    cuts += run.CutPower(rounds is null ? 0.5 : 1);
                    for (int fault = 0; fault < 3; fault++)
                    {
                        run.Fail();
                    }
                }
                catch (Exception exception)
                {
                    throw new InvalidOperationException($"To {operation} in an image '{kind.Name}', seed {seed}: {exception.Message}",
                        exception);
                }
            }
        }

        output.WriteLine($"{possible} times, {cuts} power cuts");
        Assert.True(possible > 1 && cuts > 0);
    }

    // What is to be repaired has to be damaged.
    private static Dictionary<string, byte[]> FilesOf(ImageKind kind, string operation, int seed)
    {
        if (operation != "repair")
        {
            return kind.Files;
        }

        byte[] image = [.. kind.Files[SimulatedImage.Name]];
        int table = (int)BinaryPrimitives.ReadInt64BigEndian(image.AsSpan(48));
        int block = (int)BinaryPrimitives.ReadInt64BigEndian(image.AsSpan(table));
        Random random = new(seed);
        int length = 1 << BinaryPrimitives.ReadInt32BigEndian(image.AsSpan(20));
        random.NextBytes(image.AsSpan(block + random.Next(length / 2), length / 8));
        if (random.Next(4) == 0)
        {
            image.AsSpan(table, 8).Clear();
        }

        return new Dictionary<string, byte[]>(kind.Files) { [SimulatedImage.Name] = image };
    }
}
