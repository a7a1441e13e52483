namespace Ublk.Qcow2.Format;

/// <summary>What is wrong with an image, as the user sees it.</summary>
internal static class ImageError
{
    /// <summary>The image contradicts itself or the specification.</summary>
    /// <param name="path">The image.</param>
    /// <param name="what">What is wrong, as the end of a sentence without its full stop.</param>
    public static UblkException Invalid(string path, string what) =>
        new(UblkError.InvalidImage, $"{path} is not a valid qcow2 image: {what}.", operation: "qcow2");

    /// <summary>Refuses an image that contradicts itself or the specification.</summary>
    /// <param name="isInvalid">Whether it does.</param>
    /// <param name="path">The image.</param>
    /// <param name="what">What is wrong, as for <see cref="Invalid"/>.</param>
    /// <exception cref="UblkException">It does.</exception>
    public static void ThrowIf(bool isInvalid, string path, string what)
    {
        if (isInvalid)
        {
            throw Invalid(path, what);
        }
    }

    /// <summary>The image is valid but needs what this engine lacks.</summary>
    /// <param name="path">The image.</param>
    /// <param name="what">What it needs and what to do, in whole sentences that follow the path.</param>
    public static UblkException NotSupported(string path, string what) =>
        new(UblkError.NotSupported, $"{path} {what}", operation: "qcow2");
}
