using Microsoft.Win32.SafeHandles;
using Ublk.Files;
using Ublk.Images;
using Ublk.Interop;
using Ublk.Qcow2.AtRest;

namespace Ublk.Tests.Files;

/// <summary>An image that replaces a file belongs to the same user, and nobody may do more with it.</summary>
public sealed class KeptAttributesTests : IDisposable
{
    private const string AccessList = "system.posix_acl_access";
    private const UnixFileMode Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead;

    // Of posix_acl_xattr.h: the version, then the owner, user 1234, the group, the mask and others.
    private static readonly byte[] s_list =
    [
        2, 0, 0, 0,
        1, 0, 6, 0, 255, 255, 255, 255,
        2, 0, 6, 0, 0xD2, 4, 0, 0,
        4, 0, 4, 0, 255, 255, 255, 255,
        0x10, 0, 6, 0, 255, 255, 255, 255,
        0x20, 0, 0, 0, 255, 255, 255, 255,
    ];

    // On a disk's file system: tmpfs has no attributes of users on older kernels.
    private readonly DirectoryInfo _folder = Directory.CreateDirectory($"/var/tmp/ublk-attributes-{Guid.NewGuid():N}");

    private string Image => $"{_folder}/a.qcow2";

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Owner_permissions_and_labels_stay()
    {
        OtherUser.RequireRoot();
        MakeOld();
        Set(Image, "user.note", "kept"u8.ToArray());
        Set(Image, AccessList, s_list);
        OtherUser.Give(Image);
        UnixFileMode mode = File.GetUnixFileMode(Image);
        Replace();
        using SafeFileHandle image = Libc.Open(Image, Libc.O_RDONLY);
        Assert.Equal(0, Libc.Statx(image, out Libc.StatxBuffer state));
        Assert.Equal((OtherUser.Id, OtherUser.Id), (state.UserId, state.GroupId));
        Assert.Equal(mode, File.GetUnixFileMode(Image));
        Assert.Equal("kept"u8.ToArray(), Get(image, "user.note"));
        Assert.Equal(s_list, Get(image, AccessList));
        Assert.Equal(["a.qcow2"], _folder.GetFiles().Select(file => file.Name));
    }

    [Fact]
    public void A_list_of_the_folder_is_not_inherited()
    {
        MakeOld();
        Set(_folder.FullName, "system.posix_acl_default", s_list);
        Replace();
        using SafeFileHandle image = Libc.Open(Image, Libc.O_RDONLY);
        Assert.Null(Get(image, AccessList));
        Assert.Equal(Mode, File.GetUnixFileMode(Image));
    }

    [Fact]
    public void Who_may_not_give_a_file_away_replaces_none_of_others()
    {
        OtherUser.RequireRoot();
        MakeOld();
        byte[] before = File.ReadAllBytes(Image);
        File.SetUnixFileMode(Image, Mode | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
        OtherUser.Give(_folder.FullName);
        UblkException refused = OtherUser.Run(() => Assert.Throws<UblkException>(Replace));
        Assert.Equal(UblkError.PermissionDenied, refused.Error);
        Assert.Equal(before, File.ReadAllBytes(Image));
        Assert.Equal(["a.qcow2"], _folder.GetFiles().Select(file => file.Name));
    }

    private void MakeOld()
    {
        File.WriteAllText(Image, "old");
        File.SetUnixFileMode(Image, Mode);
    }

    private void Replace() => new CreateImage
    {
        Path = Image, Size = 1 << 20, Force = true, Options = new NewImageOptions { Format = ImageFormat.Qcow2 },
    }.Run(ImageProgress.None);

    private static void Set(string path, string name, byte[] value)
    {
        using SafeFileHandle file = Libc.Open(path, Libc.O_RDONLY);
        int errno = Libc.SetAttribute(file, name, value);
        Assert.SkipWhen(errno == Libc.EOPNOTSUPP, $"no {name} in {path}");
        Assert.Equal(0, errno);
    }

    private static byte[]? Get(SafeFileHandle file, string name)
    {
        Assert.Equal(0, Libc.GetAttribute(file, name, out byte[]? value));
        return value;
    }
}
