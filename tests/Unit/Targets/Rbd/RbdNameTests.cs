using Ublk.Targets;
using Ublk.Targets.Rbd;

namespace Ublk.Tests.Targets.Rbd;

/// <summary>Which image options name.</summary>
public class RbdNameTests
{
    [Theory]
    [InlineData("disk", "rbd/disk")]
    [InlineData("vms/disk", "vms/disk")]
    [InlineData("vms/a/disk", "vms/a/disk")]
    [InlineData("vms/a/disk@s", "vms/a/disk@s")]
    [InlineData("disk@s", "rbd/disk@s")]
    public void A_spec_names_an_image(string spec, string name) => Assert.Equal(name, RbdName.Parse(spec).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("/disk")]
    [InlineData("vms/")]
    [InlineData("vms//disk")]
    [InlineData("a/b/c/disk")]
    [InlineData("disk@")]
    [InlineData("disk@a@b")]
    [InlineData("vms@a/disk")]
    public void What_is_no_spec_is_refused(string spec)
    {
        UblkException failure = Assert.Throws<UblkException>(() => RbdName.Parse(spec));
        Assert.Equal(UblkError.InvalidArgument, failure.Error);
    }

    [Fact]
    public void An_image_is_named_in_one_way()
    {
        Assert.Equal("vms/a/disk@s", Of(("Pool", "vms"), ("Namespace", "a"), ("Image", "disk"), ("Snapshot", "s")).ToString());
        Assert.Contains("-Image or -Spec", Assert.Throws<UblkException>(() => Of(("Pool", "vms"))).Message, StringComparison.Ordinal);
        Assert.Contains("Spec and Pool", Assert.Throws<UblkException>(() => Of(("Spec", "disk"), ("Pool", "vms"))).Message,
            StringComparison.Ordinal);
    }

    private static RbdName Of(params (string Name, string Value)[] options) =>
        RbdName.Of(new TargetOptions(options.ToDictionary(option => option.Name, option => option.Value)));
}
