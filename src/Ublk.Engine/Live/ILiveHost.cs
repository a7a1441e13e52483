using Ublk.Specification;
using Ublk.Targets;

namespace Ublk.Live;

/// <summary>The worker that serves a disk, as far as a change of the disk needs it.</summary>
internal interface ILiveHost
{
    /// <summary>Opens a disk.</summary>
    /// <param name="specification">The device.</param>
    /// <param name="generation">The number of the opening.</param>
    /// <param name="isReopened">Whether it is what this worker had open until now, and whose state must be there.</param>
    /// <param name="backing">What an image is opened over, which is its backing file; null to open that.</param>
    /// <param name="firstFile">How many files of another disk the queues have before those of this one.</param>
    /// <exception cref="UblkException">It cannot be opened; <see cref="UblkError.BackingFileInUse"/> while another has it.</exception>
    OpenedDisk Open(DeviceSpecification specification, int generation, bool isReopened, BlockTarget? backing = null, int firstFile = 0);

    /// <summary>Checks that a disk can stand behind the device as it is.</summary>
    /// <exception cref="UblkException">It cannot.</exception>
    void RequireFit(OpenedDisk disk);

    /// <summary>Records a disk, so that the next worker serves it: from then on it is the device's.</summary>
    /// <exception cref="UblkException">The record cannot be written; the former disk is the device's.</exception>
    void Record(OpenedDisk disk);

    /// <summary>Whether the device is registered with a disk, which is then the device's from the next boot on.</summary>
    bool IsRegistered(OpenedDisk disk);

    /// <summary>Ends the process at once: it can neither serve the disk nor answer its requests.</summary>
    void Abort(Exception exception);
}
