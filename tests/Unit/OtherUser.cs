using System.Runtime.InteropServices;

namespace Ublk.Tests;

/// <summary>Acts as an ordinary user, and gives files to that user.</summary>
internal static partial class OtherUser
{
    /// <summary>Nobody's number.</summary>
    public const uint Id = 65534;

    private static nint SetResUid => RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? 147 : 117;

    /// <summary>Runs an action as the user. A raw system call changes the user of the calling thread alone.</summary>
    public static T Run<T>(Func<T> action)
    {
        RequireRoot();
        T result = default!;
        Exception? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                Assert.Equal(0, SystemCall(SetResUid, -1, (nint)Id, -1));
                result = action();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        });
        thread.Start();
        thread.Join();
        Assert.Null(failure);
        return result;
    }

    /// <summary>Gives the user a file.</summary>
    public static void Give(string path)
    {
        RequireRoot();
        Shell.Run("chown", "-h", $"{Id}:{Id}", path);
    }

    /// <summary>Skips the test where nobody can become another user.</summary>
    public static void RequireRoot() => Assert.SkipUnless(Environment.IsPrivilegedProcess, "needs root, to be another user");

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SystemCall(nint number, nint real, nint effective, nint saved);
}
