namespace Ublk.Launching;

/// <summary>Reports of steps that do not end the work they report about.</summary>
internal static class StepReports
{
    /// <summary>The same reports without their exceptions, for work that must not stop between two steps.</summary>
    /// <remarks>PowerShell throws in a report after Ctrl+C, and with <c>-ProgressAction Stop</c>.</remarks>
    /// <param name="step">Called with a sentence for each step.</param>
    public static Action<string> Guard(Action<string> step) => sentence =>
    {
        try
        {
            step(sentence);
        }
        catch (Exception)
        {
            // The work has its own cancellation.
        }
    };
}
