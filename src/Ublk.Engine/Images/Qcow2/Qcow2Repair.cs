using Ublk.Targets.Qcow2.Format;

namespace Ublk.Images.Qcow2;

/// <summary>Makes an image's reference counts and flags agree with what it refers to.</summary>
internal static class Qcow2Repair
{
    /// <summary>Repairs what a check found, as far as that loses nothing; tables that lead nowhere stay as they are.</summary>
    /// <exception cref="UblkException">The image cannot be written.</exception>
    public static void Run(Qcow2File image, ReferenceWalk walk, ImageProgress progress)
    {
        // From here on it is done whole: to stop would leave the image as bad as it was, at best.
        progress.Begin($"Repairing {image.File.Path}");
        image.BeginWriting();
        new RefcountWriter(image, walk.Counts, walk.RefcountBlocks, walk.IsRefcountTableLost).Write(onlyIncrease: false);
        CopiedFlags.Compare(image, cluster => walk.Counts[cluster], _ => { }, fix: true, ImageProgress.None);
        image.File.Flush();
        IncompatibleFeatures clean = image.Header.Incompatible & ~IncompatibleFeatures.Dirty;
        image.WriteHeader(image.Header with { Incompatible = clean });
        image.File.Flush();
    }
}
