using Ublk.Exports;
using Ublk.Files;
using Ublk.Targets.Nbd;
using Ublk.Workers;

namespace Ublk.Tests.Exports;

/// <summary>Removing an export deletes its record and its own socket, and reports what its worker could not write.</summary>
public sealed class ExportRecordTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ublk-export-");
    private readonly string _name = $"test-{Guid.NewGuid():N}";

    private string SocketPath => $"{_folder}/socket";

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void An_export_is_removed_with_its_socket()
    {
        NbdSocket.ListenForOwner(SocketPath).Dispose();
        Write();
        Remove();
        Assert.False(Path.Exists(SocketPath));
    }

    [Fact]
    public void The_socket_of_another_program_is_left_alone()
    {
        NbdSocket.ListenForOwner(SocketPath).Dispose();
        Write();
        File.Move(SocketPath, $"{SocketPath}-former");
        NbdSocket.ListenForOwner(SocketPath).Dispose();
        Remove();
        Assert.True(Path.Exists(SocketPath));
    }

    [Fact]
    public void A_file_that_was_there_before_the_worker_bound_is_left_alone()
    {
        Write();
        File.WriteAllText(SocketPath, "");
        Remove();
        Assert.True(Path.Exists(SocketPath));
    }

    [Fact]
    public void An_export_is_removed_although_the_folder_of_its_socket_is_gone()
    {
        string folder = _folder.CreateSubdirectory("gone").FullName;
        NbdSocket.ListenForOwner($"{folder}/socket").Dispose();
        Write($"{folder}/socket");
        Directory.Delete(folder, recursive: true);
        Remove();
    }

    [Fact]
    public void A_failed_write_back_is_reported_and_the_export_is_removed()
    {
        Write(failure: new WorkerFailure(UblkError.OperationFailed, "The disk is full.", 28, "fsync", null));
        UblkException exception = Assert.Throws<UblkException>(Remove);
        Assert.Equal(28, exception.Errno);
        Assert.Null(ExportRecord.TryRead(_name));
    }

    private void Write(string? socket = null, WorkerFailure? failure = null) => new ExportRecord
    {
        Specification = new ExportSpecification { Name = _name, Path = "/none", SocketPath = socket ?? SocketPath },
        Socket = FileIdentity.Of(socket ?? SocketPath),
        Failure = failure,
    }.Write();

    private void Remove()
    {
        ExportManager.Remove(_name, force: false, Assert.Fail, TestContext.Current.CancellationToken);
        Assert.Null(ExportRecord.TryRead(_name));
    }
}
