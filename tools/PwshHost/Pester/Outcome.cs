namespace PwshHost.Pester;

/// <summary>Whether an assertion holds, and the words to say so.</summary>
/// <param name="Holds">Before -Not is applied.</param>
/// <param name="What">What was expected: "Expected {What}" or "Expected not {What}".</param>
/// <param name="But">What was found: "but {But}".</param>
internal sealed record Outcome(bool Holds, string What, string But)
{
    public string Expectation(bool not) => not ? "not " + What : What;
}
