namespace Ublk.Launching;

/// <summary>Reports of steps that do not end the work they report about.</summary>
internal static class StepReports
{
    /// <summary>The same reports without their exceptions, for work that must not stop between two steps.</summary>
    /// <remarks>PowerShell throws in a report after Ctrl+C, and with <c>-ProgressAction Stop</c>.</remarks>
    /// <param name="report">Called with each report.</param>
    public static Action<T> Guard<T>(Action<T> report) => value =>
    {
        try
        {
            report(value);
        }
        catch (Exception)
        {
            // The work has its own cancellation.
        }
    };
}
