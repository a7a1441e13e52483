using System.Numerics;
using Ublk.Control;

namespace Ublk.Tests.Control;

/// <summary>What is told of the driver's features.</summary>
public class FeatureCatalogTests
{
    private static readonly Version Newest = new(7, 3);

    [Fact]
    public void Every_feature_has_an_entry_at_its_bit()
    {
        UblkFeatures[] known = [.. Enum.GetValues<UblkFeatures>().Where(feature => feature != UblkFeatures.None)];
        Assert.Equal(
            known.Select(feature => ($"{feature}", BitOperations.Log2((ulong)feature))),
            FeatureCatalog.List(known[0], Newest).Select(feature => (feature.Name, feature.Bit)));
    }

    [Fact]
    public void What_the_driver_says_counts()
    {
        IReadOnlyList<UblkFeature> features = FeatureCatalog.List(UblkFeatures.UpdateSize | UblkFeatures.UserCopy, Newest);
        Assert.Equal(["UserCopy", "UpdateSize"], features.Where(feature => feature.Supported).Select(feature => feature.Name));
        Assert.All(features, feature => Assert.Equal(feature.Supported, feature.Note is null));
    }

    [Theory]
    [InlineData("6.12", "needs kernel 6.16 or newer, this is 6.12")]
    [InlineData("6.16", "needs the driver of kernel 6.16 or newer, and that of this kernel (6.16) lacks it")]
    public void What_is_missing_says_why(string kernel, string note) => Assert.Equal(note,
        FeatureCatalog.List(UblkFeatures.UserCopy, Version.Parse(kernel)).Single(feature => feature.Name == "UpdateSize").Note);

    [Fact]
    public void A_driver_that_cannot_be_asked_is_judged_by_its_kernel()
    {
        string[] supported = [.. FeatureCatalog.List(UblkFeatures.None, new Version(6, 1)).Where(feature => feature.Supported)
            .Select(feature => feature.Name)];
        Assert.Contains("UserRecovery", supported);
        Assert.DoesNotContain("UserCopy", supported);
    }

    [Fact]
    public void A_driver_that_cannot_be_asked_has_no_devices_of_ordinary_users()
    {
        UblkFeature feature = FeatureCatalog.List(UblkFeatures.None, new Version(6, 4))
            .Single(feature => feature.Name == "UnprivilegedDev");
        Assert.Equal((false, "needs kernel 6.5 or newer, this is 6.4"), (feature.Supported, feature.Note));
    }
}
