using System.Reflection;
using System.Runtime.CompilerServices;

namespace Ublk.Tests;

/// <summary>What programs can use of the engine is what PublicApi.txt says: a change of one is a change of the other.</summary>
public class PublicApiTests
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static string File([CallerFilePath] string path = "") => Path.Combine(Path.GetDirectoryName(path)!, "PublicApi.txt");

    [Fact]
    public void The_public_surface_is_what_was_agreed_on()
    {
        string[] actual = [.. typeof(UblkException).Assembly.GetExportedTypes().OrderBy(type => type.FullName, StringComparer.Ordinal)
            .SelectMany(Describe)];
        if (Environment.GetEnvironmentVariable("UBLK_ACCEPT_API") is not null)
        {
            System.IO.File.WriteAllLines(File(), actual);
        }

        // Set UBLK_ACCEPT_API to write the file anew, and read what changed.
        string[] agreed = System.IO.File.ReadAllLines(File());
        Assert.Empty(
            (string[])[.. actual.Except(agreed).Select(line => $"new: {line}"), .. agreed.Except(actual).Select(line => $"gone: {line}")]);
    }

    private static IEnumerable<string> Describe(Type type)
    {
        string name = Name(type);
        string kind = type.IsEnum ? "enum" : type.IsValueType ? "struct" : type.IsInterface ? "interface"
            : type is { IsAbstract: true, IsSealed: true }
                ? "static class"
                : type.IsAbstract ? "abstract class" : type.IsSealed ? "sealed class" : "class";
        yield return $"{kind} {name}";
        if (type.IsEnum)
        {
            foreach (string value in Enum.GetNames(type))
            {
                yield return $"{name}.{value}";
            }

            yield break;
        }

        IEnumerable<string> members = type.GetMembers(Declared).Where(IsVisible).Select(member => Describe(name, member)).OfType<string>();
        foreach (string member in members.Order(StringComparer.Ordinal))
        {
            yield return member;
        }
    }

    // What the compiler writes for records is not listed.
    private static bool IsVisible(MemberInfo member) => !member.IsDefined(typeof(CompilerGeneratedAttribute)) && member switch
    {
        MethodBase method => IsVisible(method) && (!method.IsSpecialName || method.IsConstructor),
        PropertyInfo property => property.GetAccessors(nonPublic: true).Any(IsVisible) && property.Name != "EqualityContract",
        FieldInfo field => field.IsPublic || field.IsFamily,
        _ => false,
    };

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static string? Describe(string type, MemberInfo member) => member switch
    {
        ConstructorInfo constructor => $"{type}({Parameters(constructor)})",
        MethodInfo method => $"{type}.{method.Name}({Parameters(method)}) : {Name(method.ReturnType)}",
        PropertyInfo property => $"{type}.{property.Name} : {Name(property.PropertyType)} {{ {string.Join(" ", Accessors(property))} }}",
        FieldInfo field => $"{type}.{field.Name} : {Name(field.FieldType)}",
        _ => null,
    };

    private static IEnumerable<string> Accessors(PropertyInfo property)
    {
        if (property.GetMethod is { } get && IsVisible(get))
        {
            yield return "get;";
        }

        if (property.SetMethod is { } set && IsVisible(set))
        {
            yield return set.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) ? "init;" : "set;";
        }
    }

    private static string Parameters(MethodBase method) =>
        string.Join(", ", method.GetParameters().Select(parameter => $"{Name(parameter.ParameterType)} {parameter.Name}"));

    private static string Name(Type type)
    {
        if (type.IsGenericType)
        {
            string name = type.GetGenericTypeDefinition().FullName!;
            return $"{name[..name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
        }

        return type.FullName ?? type.Name;
    }
}
