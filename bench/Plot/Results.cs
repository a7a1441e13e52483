using System.Text.Json.Serialization;

namespace Ublk.Plot;

/// <summary>What Invoke-Bench.ps1 writes to results.json, as far as it is drawn.</summary>
internal sealed record Results([property: JsonPropertyName("summary")] IReadOnlyList<Measurement> Summary);

/// <summary>A row of the matrix as one contender did it.</summary>
internal sealed record Measurement(
    string Disk,
    string Workload,
    string Contender,
    Spread? Ratio,
    Spread CpuMicros,
    double P50Micros,
    double P99Micros,
    double P999Micros);

/// <summary>Median, least and greatest of the rounds.</summary>
internal sealed record Spread(double Median, double Min, double Max);
