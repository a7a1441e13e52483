using Ublk.Control;
using Ublk.Io;
using Ublk.Serving;
using Ublk.Specification;
using Ublk.Targets;
using static Ublk.Control.UblkFeatures;

namespace Ublk.Tests.Serving;

/// <summary>Which way a device's data goes, by what is wanted, what the target says and what the driver can.</summary>
public class BufferFeaturesTests
{
    private const UblkFeatures NewDriver = SupportZeroCopy | AutoBufReg | UserCopy;
    private const UblkFeatures OldDriver = UserCopy;

    private enum Data
    {
        Forwarded,
        ForwardedWhenLarge,
        BetterCopied,
        WorkedOn,
    }

    public static TheoryData<string, BufferMode, UblkFeatures, UblkFeatures> Choices => new()
    {
        { nameof(Data.Forwarded), BufferMode.Auto, NewDriver, SupportZeroCopy | AutoBufReg },
        { nameof(Data.Forwarded), BufferMode.Auto, SupportZeroCopy | UserCopy, SupportZeroCopy },
        { nameof(Data.Forwarded), BufferMode.Auto, OldDriver, UserCopy },
        { nameof(Data.Forwarded), BufferMode.Auto, None, None },
        { nameof(Data.ForwardedWhenLarge), BufferMode.Auto, NewDriver, SupportZeroCopy | UserCopy },
        { nameof(Data.ForwardedWhenLarge), BufferMode.Auto, OldDriver, UserCopy },
        { nameof(Data.ForwardedWhenLarge), BufferMode.ZeroCopy, NewDriver, SupportZeroCopy | AutoBufReg },
        { nameof(Data.BetterCopied), BufferMode.Auto, NewDriver, UserCopy },
        { nameof(Data.BetterCopied), BufferMode.ZeroCopy, NewDriver, SupportZeroCopy | AutoBufReg },
        { nameof(Data.WorkedOn), BufferMode.Auto, NewDriver, UserCopy },
        { nameof(Data.WorkedOn), BufferMode.UserCopy, OldDriver, UserCopy },
        { nameof(Data.Forwarded), BufferMode.UserCopy, NewDriver, UserCopy },
        { nameof(Data.Forwarded), BufferMode.Copy, NewDriver, None },
    };

    [Theory]
    [MemberData(nameof(Choices))]
    public void The_way_is_chosen(string data, BufferMode mode, UblkFeatures driver, UblkFeatures expected) =>
        Assert.Equal(expected, Choose(Enum.Parse<Data>(data), mode, driver));

    [Theory]
    [InlineData(nameof(Data.Forwarded), BufferMode.ZeroCopy, OldDriver, "6.15")]
    [InlineData(nameof(Data.WorkedOn), BufferMode.ZeroCopy, NewDriver, "works on the data itself")]
    [InlineData(nameof(Data.Forwarded), BufferMode.UserCopy, None, "6.5")]
    public void A_way_that_is_closed_is_an_error(string data, BufferMode mode, UblkFeatures driver, string says)
    {
        UblkException exception = Assert.Throws<UblkException>(() => Choose(Enum.Parse<Data>(data), mode, driver));
        Assert.Equal(UblkError.NotSupported, exception.Error);
        Assert.Contains(says, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_unprivileged_device_is_copied_by_the_driver()
    {
        using Target target = new(Data.Forwarded);
        Assert.Equal(None, BufferFeatures.Choose(new DeviceSpecification { Target = "Test", Unprivileged = true }, target, NewDriver));
    }

    [Fact]
    public void Small_requests_alone_are_copied_by_the_worker()
    {
        using Target target = new(Data.ForwardedWhenLarge);
        DeviceSpecification specification = new() { Target = "Test", MaxIoSize = 32 << 10 };
        Assert.Equal(UserCopy, BufferFeatures.Choose(specification, target, NewDriver));
    }

    private static UblkFeatures Choose(Data data, BufferMode mode, UblkFeatures driver)
    {
        using Target target = new(data);
        return BufferFeatures.Choose(new DeviceSpecification { Target = "Test", BufferMode = mode }, target, driver);
    }

    private sealed class Target(Data data) : BlockTarget
    {
        public override TargetGeometry Geometry { get; } = new() { Size = 1 << 20 };

        public override bool ForwardsData => data != Data.WorkedOn;

        public override int ZeroCopyThreshold => data switch
        {
            Data.ForwardedWhenLarge => 64 << 10,
            Data.BetterCopied => int.MaxValue,
            _ => 0,
        };

        public override IoTask<int> HandleAsync(IoRequest request) => 0;
    }
}
