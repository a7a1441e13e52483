using Ublk.Control;
using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Serving;

/// <summary>What a new device asks the driver for, so that its data goes the way that is wanted.</summary>
internal static class BufferFeatures
{
    /// <summary>Chooses the features.</summary>
    /// <param name="specification">What is wanted.</param>
    /// <param name="target">What answers the requests.</param>
    /// <param name="features">What the driver can.</param>
    /// <exception cref="UblkException">The way that is asked for is closed.</exception>
    public static UblkFeatures Choose(DeviceSpecification specification, BlockTarget target, UblkFeatures features)
    {
        bool canUserCopy = !specification.Unprivileged && features.HasFlag(UblkFeatures.UserCopy);
        bool canZeroCopy = !specification.Unprivileged && features.HasFlag(UblkFeatures.SupportZeroCopy) && target.ForwardsData;
        UblkFeatures zeroCopy = UblkFeatures.SupportZeroCopy | (features & UblkFeatures.AutoBufReg);
        return specification.BufferMode switch
        {
            BufferMode.Auto when canZeroCopy && target.ZeroCopyThreshold == 0 => zeroCopy,

            // Either way, by a request's size; what is not copied is registered by hand, so that it costs small requests nothing.
            BufferMode.Auto when canZeroCopy && canUserCopy && target.ZeroCopyThreshold <= specification.MaxIoSize =>
                UblkFeatures.SupportZeroCopy | UblkFeatures.UserCopy,
            BufferMode.UserCopy or BufferMode.ZeroCopy when specification.Unprivileged => throw new UblkException(UblkError.NotSupported,
                $"The driver copies the data of an unprivileged device. Leave out -BufferMode {specification.BufferMode}."),
            BufferMode.UserCopy => FeatureCatalog.Require(features, UblkFeatures.UserCopy, "-BufferMode UserCopy"),
            BufferMode.ZeroCopy when !target.ForwardsData => throw new UblkException(UblkError.NotSupported,
                $"The {specification.Target} target works on the data itself, so it must be copied. Leave out -BufferMode ZeroCopy."),
            BufferMode.ZeroCopy when canZeroCopy => zeroCopy,
            BufferMode.ZeroCopy => FeatureCatalog.Require(features, UblkFeatures.SupportZeroCopy, "-BufferMode ZeroCopy"),

            // A page of memory that the worker cannot have fails the request then, where the driver would cut it short.
            BufferMode.Auto when canUserCopy => UblkFeatures.UserCopy,
            _ => UblkFeatures.None,
        };
    }
}
