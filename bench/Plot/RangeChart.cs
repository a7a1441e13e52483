using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace Ublk.Plot;

/// <summary>A band for each row of the matrix with a mark for each contender, on a logarithmic scale.</summary>
internal sealed class RangeChart
{
    public const double Width = 900;

    private const double LineHeight = 11;

    // The contenders in order, told apart by those who see colours differently, too (Okabe and Ito).
    private static readonly OrderedDictionary<string, OxyColor> s_colours = new()
    {
        ["Ublk"] = OxyColor.FromRgb(0xD5, 0x5E, 0x00),
        ["Ublk Copy"] = OxyColor.FromRgb(0xE6, 0x9F, 0x00),
        ["Ublk raw"] = OxyColor.FromRgb(0x56, 0xB4, 0xE9),
        ["kernel"] = OxyColors.Black,
        ["qemu-nbd"] = OxyColor.FromRgb(0x00, 0x9E, 0x73),
        ["ublksrv"] = OxyColor.FromRgb(0x00, 0x72, 0xB2),
        ["kublk"] = OxyColor.FromRgb(0xCC, 0x79, 0xA7),
        ["rbd-nbd"] = OxyColor.FromRgb(0x00, 0x9E, 0x73),
    };

    /// <summary>Draws what is selected of each measurement; null is left out.</summary>
    public RangeChart(string title, IReadOnlyList<Measurement> measurements, Func<Measurement, Mark?> select)
    {
        var marks = measurements.Select(one => (Row: $"{one.Disk}  {one.Workload}", one.Contender, Mark: select(one)))
            .Where(one => one.Mark is not null).ToList();
        List<string> rows = [.. marks.Select(one => one.Row).Distinct()];
        List<string> contenders = [.. s_colours.Keys.Where(name => marks.Any(one => one.Contender == name))];
        Height = 100 + (rows.Count * ((contenders.Count * LineHeight) + 8));
        Model = new PlotModel
        {
            Title = title,
            TitleFontSize = 13,
            TitleFontWeight = FontWeights.Normal,
            DefaultFont = "Arial",
            Background = OxyColors.White,

            // Room for the names of rows in whatever font the viewer has.
            PlotMargins = new OxyThickness(255, double.NaN, double.NaN, double.NaN),
        };
        Model.Legends.Add(new Legend
        {
            LegendPlacement = LegendPlacement.Outside,
            LegendPosition = LegendPosition.BottomCenter,
            LegendOrientation = LegendOrientation.Horizontal,
            LegendItemSpacing = 24,
            LegendPadding = 24,
        });
        CategoryAxis categories = new()
        {
            Position = AxisPosition.Left,
            StartPosition = 1,
            EndPosition = 0,
            IsTickCentered = false,
            MajorGridlineStyle = LineStyle.Solid,
            MajorGridlineColor = OxyColors.LightGray,
        };
        categories.Labels.AddRange(rows);
        Model.Axes.Add(categories);
        Model.Axes.Add(new LogarithmicAxis
        {
            Position = AxisPosition.Bottom,
            MajorGridlineStyle = LineStyle.Dot,
            MinorGridlineStyle = LineStyle.Dot,
            MinorGridlineColor = OxyColors.LightGray,
        });
        Model.Annotations.Add(new LineAnnotation
        {
            Type = LineAnnotationType.Vertical,
            X = 1,
            Color = OxyColors.Gray,
            LineStyle = LineStyle.Solid,
        });
        for (int i = 0; i < contenders.Count; i++)
        {
            double offset = (i + 0.5) / contenders.Count * 0.8 - 0.4;
            Add(contenders[i], marks.Where(one => one.Contender == contenders[i])
                .Select(one => (rows.IndexOf(one.Row) + offset, one.Mark!)));
        }
    }

    public PlotModel Model { get; }

    public double Height { get; }

    private void Add(string contender, IEnumerable<(double Y, Mark Mark)> marks)
    {
        OxyColor colour = s_colours[contender];
        LineSeries lines = new() { Color = colour, StrokeThickness = 1.5 };
        ScatterSeries dots = new() { Title = contender, MarkerType = MarkerType.Circle, MarkerSize = 3.5, MarkerFill = colour };
        ScatterSeries crosses =
            new() { MarkerType = MarkerType.Cross, MarkerSize = 3.5, MarkerStroke = colour, MarkerStrokeThickness = 1.5 };
        foreach ((double y, Mark mark) in marks)
        {
            lines.Points.AddRange([new DataPoint(mark.Min, y), new DataPoint(mark.Max, y), DataPoint.Undefined]);
            dots.Points.Add(new ScatterPoint(mark.Dot, y));
            if (mark.Cross is { } cross)
            {
                crosses.Points.Add(new ScatterPoint(cross, y));
            }
        }

        Model.Series.Add(lines);
        Model.Series.Add(dots);
        Model.Series.Add(crosses);
    }
}
