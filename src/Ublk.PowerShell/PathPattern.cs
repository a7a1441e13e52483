using System.Management.Automation;

namespace Ublk.PowerShell;

/// <summary>
/// An absolute path with wildcards, which match within a component: as in a shell, <c>/images/*</c> matches no file of a folder below.
/// </summary>
internal sealed class PathPattern
{
    private readonly WildcardPattern[] _components;

    /// <summary>A pattern.</summary>
    /// <param name="path">The path with wildcards.</param>
    /// <param name="location">The current location. Wildcard characters in its name are not the user's, so they match themselves.</param>
    public PathPattern(string path, string location)
    {
        string pattern = path.StartsWith($"{location}/", StringComparison.Ordinal)
            ? WildcardPattern.Escape(location) + path[location.Length..]
            : path;
        _components = [.. pattern.Split('/').Select(component => new WildcardPattern(component))];
    }

    /// <summary>Whether an absolute path matches.</summary>
    public bool IsMatch(string path)
    {
        string[] components = path.Split('/');
        return components.Length == _components.Length
            && components.Zip(_components).All(pair => pair.Second.IsMatch(pair.First));
    }
}
