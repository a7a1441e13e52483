namespace Ublk.HelpBuilder;

/// <summary>A page cannot be made into help.</summary>
internal sealed class HelpException(string message) : Exception(message);
