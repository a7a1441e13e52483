using Ublk.Files;
using Ublk.Images;
using Ublk.Images.Content;
using Ublk.Qcow2.AtRest;
using Ublk.Tests.Qcow2;

namespace Ublk.Tests.Files;

/// <summary>An image of another user does not lead its opener where that user could not go himself.</summary>
public sealed class ImageReferenceTests : IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode Enter = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private readonly QemuImage _image = new("1M");

    public ImageReferenceTests()
    {
        File.SetUnixFileMode(_image.PathOf(""), OwnerOnly | Enter);
        Directory.CreateDirectory(_image.PathOf("folder"));
        File.WriteAllBytes(_image.PathOf("folder/named"), new byte[1 << 20]);
    }

    public void Dispose() => _image.Dispose();

    [Theory]
    [InlineData(true, false, true, true)]
    [InlineData(false, true, true, true)]
    [InlineData(false, true, false, false)]
    [InlineData(false, false, true, false)]
    public void A_backing_file_is_the_owners_or_everybodys(bool isOwners, bool mayRead, bool mayEnter, bool isOpened)
    {
        _image.Create("disk.qcow2", "1M", "", "-F", "raw", "-b", "folder/named");
        GiveAway(isOwners, mayRead, mayEnter);
        AssertOpens(isOpened, () => Qcow2Disk.Open(_image.Path).Dispose());
        AssertOpens(isOpened, () => ImageChain.Open(_image.Path, null, null, DiskFile.Open).Dispose());
    }

    [Theory]
    [InlineData(true, false, true)]
    [InlineData(true, true, true)]
    [InlineData(false, true, true)]
    [InlineData(false, false, false)]
    public void A_data_file_is_written_only_where_it_is_the_owners(bool isOwners, bool readOnly, bool isOpened)
    {
        _image.Create("disk.qcow2", "1M", $"data_file={_image.PathOf("folder/named")}");
        GiveAway(isOwners, mayRead: true, mayEnter: true);
        AssertOpens(isOpened, () => Qcow2Disk.Open(_image.Path, readOnly: readOnly).Dispose());
        AssertOpens(isOwners, () => new ResizeImage { Path = _image.Path, Size = 2 << 20 }.Run(ImageProgress.None));
    }

    [Fact]
    public void An_image_of_ones_own_leads_anywhere()
    {
        _image.Create("disk.qcow2", "1M", "", "-F", "raw", "-b", "folder/named");
        File.SetUnixFileMode(_image.PathOf("folder/named"), OwnerOnly);
        Qcow2Disk.Open(_image.Path).Dispose();
    }

    private void GiveAway(bool namedToo, bool mayRead, bool mayEnter)
    {
        string named = _image.PathOf("folder/named");
        File.SetUnixFileMode(named, mayRead ? OwnerOnly | UnixFileMode.OtherRead : OwnerOnly);
        File.SetUnixFileMode(_image.PathOf("folder"), mayEnter ? OwnerOnly | Enter : OwnerOnly | UnixFileMode.UserExecute);
        OtherUser.Give(_image.Path);
        if (namedToo)
        {
            OtherUser.Give(named);
        }
    }

    private void AssertOpens(bool isOpened, Action open)
    {
        Exception? exception = Record.Exception(open);
        if (isOpened)
        {
            Assert.Null(exception);
            return;
        }

        UblkException refusal = Assert.IsType<UblkException>(exception);
        Assert.Equal(UblkError.PermissionDenied, refusal.Error);
        Assert.Contains($"chown 0 '{_image.Path}'", refusal.Message, StringComparison.Ordinal);
    }
}
