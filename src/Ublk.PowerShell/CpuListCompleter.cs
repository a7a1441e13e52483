using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Language;
using Ublk.Control;

namespace Ublk.PowerShell;

/// <summary>Completes lists of this machine's CPUs: all, those of a memory node, and each alone.</summary>
public sealed class CpuListCompleter : IArgumentCompleter
{
    private const string Cpus = "/sys/devices/system/cpu/online";
    private const string Nodes = "/sys/devices/system/node";

    /// <inheritdoc/>
    public IEnumerable<CompletionResult> CompleteArgument(
        string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        string word = CompletionText.Unquote(wordToComplete);
        return Lists()
            .DistinctBy(item => item.List)
            .Where(item => item.List.StartsWith(word, StringComparison.Ordinal))
            // Without quotes a comma would make an array of it, which means a list for each queue.
            .Select(item =>
                new CompletionResult(CompletionText.Quote(item.List), item.List, CompletionResultType.ParameterValue, item.Meaning));
    }

    private static IEnumerable<(string List, string Meaning)> Lists()
    {
        if (!File.Exists(Cpus))
        {
            yield break;
        }

        string all = File.ReadAllText(Cpus).Trim();
        yield return (all, "every CPU");
        if (Directory.Exists(Nodes))
        {
            foreach (string node in Directory.GetDirectories(Nodes, "node*").Order(StringComparer.Ordinal))
            {
                string list = File.ReadAllText($"{node}/cpulist").Trim();
                if (list.Length > 0)
                {
                    yield return (list, $"memory {Path.GetFileName(node)}");
                }
            }
        }

        foreach (int cpu in CpuSet.Parse(all).Cpus)
        {
            yield return (cpu.ToString(CultureInfo.InvariantCulture), $"CPU {cpu}");
        }
    }
}
