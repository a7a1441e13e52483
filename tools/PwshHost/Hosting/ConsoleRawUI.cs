using System.Management.Automation.Host;

namespace PwshHost.Hosting;

/// <summary>The terminal's size, or a wide fixed one where output goes to a file; cells of a screen are not supported.</summary>
internal sealed class ConsoleRawUI : PSHostRawUserInterface
{
    /// <summary>"The terminal's own colour": what -1 means to PowerShell.</summary>
    public const ConsoleColor NoColor = (ConsoleColor)(-1);

    private const int WidthOfFiles = 120;

    /// <summary>The width Out-String asked for, in place of the terminal's.</summary>
    public int? WidthOverride { get; set; }

    public override ConsoleColor ForegroundColor { get; set; } = NoColor;

    public override ConsoleColor BackgroundColor { get; set; } = NoColor;

    public override Size BufferSize
    {
        get => new(WidthOverride ?? TerminalWidth(), 50);
        set => throw new NotSupportedException();
    }

    public override Size WindowSize
    {
        get => BufferSize;
        set => throw new NotSupportedException();
    }

    public override Size MaxWindowSize => BufferSize;

    public override Size MaxPhysicalWindowSize => BufferSize;

    public override Coordinates CursorPosition { get; set; }

    public override Coordinates WindowPosition { get; set; }

    public override int CursorSize { get; set; } = 25;

    public override bool KeyAvailable => false;

    public override string WindowTitle { get; set; } = string.Empty;

    public override void FlushInputBuffer()
    {
    }

    public override KeyInfo ReadKey(ReadKeyOptions options) => throw new NotSupportedException();

    public override BufferCell[,] GetBufferContents(Rectangle rectangle) => throw new NotSupportedException();

    public override void SetBufferContents(Coordinates origin, BufferCell[,] contents) => throw new NotSupportedException();

    public override void SetBufferContents(Rectangle rectangle, BufferCell fill) => throw new NotSupportedException();

    public override void ScrollBufferContents(Rectangle source, Coordinates destination, Rectangle clip, BufferCell fill) =>
        throw new NotSupportedException();

    private static int TerminalWidth() =>
        Console.IsOutputRedirected || Console.WindowWidth <= 0 ? WidthOfFiles : Console.WindowWidth;
}
