using System.Management.Automation;
using Ublk.Devices;

namespace Ublk.PowerShell.Commands;

/// <summary>What the cmdlets have in common that do something to several disks at one instant.</summary>
public abstract class UblkDeviceGroupCommand : UblkDeviceCommand
{
    private readonly List<int> _ids = [];

    /// <inheritdoc/>
    protected override void Apply(int id, Action<string> step)
    {
        if (!_ids.Contains(id))
        {
            _ids.Add(id);
        }
    }

    /// <inheritdoc/>
    protected override void EndProcessing()
    {
        if (_ids.Count == 0)
        {
            return;
        }

        Attempt(_ids, () =>
        {
            string[] paths = [.. PathsFor(_ids)];
            if (paths.Length != _ids.Count || paths.Distinct().Count() != paths.Length)
            {
                throw new UblkException(UblkError.InvalidArgument,
                    $"Each disk needs a new image of its own: give {_ids.Count} different paths with -{PathParameter}.");
            }

            WithProgress(Action, step => Apply([.. _ids.Zip(paths)], step));
            _ids.ForEach(WriteDevice);
        });
    }

    /// <summary>The parameter that has the new images.</summary>
    private protected abstract string PathParameter { get; }

    /// <summary>The new image of each disk.</summary>
    private protected abstract IEnumerable<string> PathsFor(IReadOnlyList<int> ids);

    /// <summary>Does it to the disks.</summary>
    /// <param name="disks">The devices, with the path of the new image of each.</param>
    /// <param name="step">Called with a sentence for each step.</param>
    private protected abstract void Apply(IReadOnlyList<(int Id, string Path)> disks, Action<string> step);
}
