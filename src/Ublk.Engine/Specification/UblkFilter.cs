namespace Ublk.Specification;

/// <summary>A filter before a disk's target, with the options it was given.</summary>
/// <param name="Name">The filter.</param>
/// <param name="Options">Its options by name, in their invariant text form.</param>
public sealed record UblkFilter(string Name, IReadOnlyDictionary<string, string> Options)
{
    /// <summary>The filter as a user types it: <c>Delay=5</c>, or <c>ErrorRate=0.1;ErrorKind=ENOSPC</c>.</summary>
    public override string ToString()
    {
        IEnumerable<string> others = Options.Where(option => !IsName(option.Key)).Select(option => $"{option.Key}={option.Value}");
        string? value = Options.FirstOrDefault(option => IsName(option.Key)).Value;
        return string.Join(';', others.Prepend(value is null ? Name : $"{Name}={value}"));

        bool IsName(string key) => string.Equals(key, Name, StringComparison.OrdinalIgnoreCase);
    }
}
