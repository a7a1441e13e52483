using System.Collections.Immutable;
using System.Reflection;
using System.Reflection.Emit;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;

namespace Ublk.Tests;

/// <summary>
/// Which folder of the engine uses which: by the types that its code refers to, and by its using directives, as the compiler replaces
/// constants.
/// </summary>
internal sealed partial class FolderGraph : IDisposable
{
    /// <summary>How the table calls the folder that the others are in.</summary>
    public const string Root = "(root)";

    private const string RootNamespace = "Ublk";
    private const byte LongPrefix = 0xFE;

    private static readonly Dictionary<short, OperandType> s_operands = typeof(OpCodes).GetFields()
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value, code => code.OperandType);

    private readonly PEReader _file;
    private readonly MetadataReader _metadata;
    private readonly HashSet<(string From, string To)> _arrows = [];
    private readonly References _references;
    private string _from = "";

    private FolderGraph(string assembly)
    {
        _file = new PEReader(File.OpenRead(assembly));
        _metadata = _file.GetMetadataReader();
        _references = new References(this);
    }

    /// <summary>The arrows between folders, from the one that uses to the one that is used.</summary>
    /// <param name="assembly">The engine.</param>
    /// <param name="sources">Its sources.</param>
    public static HashSet<(string From, string To)> Read(string assembly, string sources)
    {
        using FolderGraph graph = new(assembly);
        foreach (TypeDefinitionHandle type in graph._metadata.TypeDefinitions)
        {
            graph.ReadType(type);
        }

        foreach (string file in SourceFiles(sources))
        {
            string text = File.ReadAllText(file);
            graph._from = FolderOf(Namespace().Match(text).Groups[1].Value)!;
            foreach (Match directive in Directive().Matches(text))
            {
                graph.Add(FolderOf(directive.Groups[1].Value));
            }
        }

        return graph._arrows;
    }

    /// <summary>The folders of the engine that a program uses types of.</summary>
    /// <param name="program">Its assembly.</param>
    public static string[] FoldersUsedBy(Assembly program)
    {
        using PEReader file = new(File.OpenRead(program.Location));
        MetadataReader metadata = file.GetMetadataReader();
        return
        [
            .. metadata.TypeReferences.Select(metadata.GetTypeReference).Where(type => IsOfEngine(metadata, type))
                .Select(type => FolderOf(metadata.GetString(type.Namespace))!).Where(folder => folder != Root).Distinct().Order(),
        ];
    }

    /// <summary>The source files in a project's folder.</summary>
    public static IEnumerable<string> SourceFiles(string sources) => Directory.EnumerateFiles(sources, "*.cs", SearchOption.AllDirectories)
        .Where(file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal));

    /// <summary>The folder of a namespace; null for one that is not the engine's.</summary>
    public static string? FolderOf(string name) => name == RootNamespace ? Root
        : name.StartsWith($"{RootNamespace}.", StringComparison.Ordinal) ? name[(RootNamespace.Length + 1)..].Replace('.', '/')
        : null;

    public void Dispose() => _file.Dispose();

    private static bool IsOfEngine(MetadataReader metadata, TypeReference type) =>
        type.ResolutionScope.Kind == HandleKind.AssemblyReference
        && metadata.StringComparer.Equals(
            metadata.GetAssemblyReference((AssemblyReferenceHandle)type.ResolutionScope).Name,
            typeof(UblkException).Assembly.GetName().Name!);

    private void ReadType(TypeDefinitionHandle handle)
    {
        if (FolderOf(handle) is not { } from)
        {
            // What the compiler adds.
            return;
        }

        _from = from;
        TypeDefinition type = _metadata.GetTypeDefinition(handle);
        Add(type.BaseType);
        AddAttributes(type.GetCustomAttributes());
        AddConstraints(type.GetGenericParameters());
        foreach (InterfaceImplementationHandle implementation in type.GetInterfaceImplementations())
        {
            Add(_metadata.GetInterfaceImplementation(implementation).Interface);
        }

        foreach (FieldDefinition field in type.GetFields().Select(_metadata.GetFieldDefinition))
        {
            field.DecodeSignature(_references, null);
            AddAttributes(field.GetCustomAttributes());
        }

        foreach (PropertyDefinition property in type.GetProperties().Select(_metadata.GetPropertyDefinition))
        {
            property.DecodeSignature(_references, null);
            AddAttributes(property.GetCustomAttributes());
        }

        foreach (MethodDefinition method in type.GetMethods().Select(_metadata.GetMethodDefinition))
        {
            method.DecodeSignature(_references, null);
            AddAttributes(method.GetCustomAttributes());
            AddConstraints(method.GetGenericParameters());
            if (method.RelativeVirtualAddress != 0)
            {
                ReadBody(_file.GetMethodBody(method.RelativeVirtualAddress));
            }
        }
    }

    private void ReadBody(MethodBodyBlock body)
    {
        if (!body.LocalSignature.IsNil)
        {
            _metadata.GetStandaloneSignature(body.LocalSignature).DecodeLocalSignature(_references, null);
        }

        foreach (ExceptionRegion region in body.ExceptionRegions.Where(region => region.Kind == ExceptionRegionKind.Catch))
        {
            Add(region.CatchType);
        }

        BlobReader code = body.GetILReader();
        while (code.RemainingBytes > 0)
        {
            short operation = code.ReadByte();
            operation = operation == LongPrefix ? (short)((LongPrefix << 8) | code.ReadByte()) : operation;
            ReadOperand(s_operands[operation], ref code);
        }
    }

    private void ReadOperand(OperandType operand, ref BlobReader code)
    {
        switch (operand)
        {
            case OperandType.InlineNone:
                break;
            case OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType:
                Add(MetadataTokens.EntityHandle(code.ReadInt32()));
                break;
            case OperandType.InlineSwitch:
                int targets = code.ReadInt32();
                code.Offset += targets * sizeof(int);
                break;
            default:
                code.Offset += operand switch
                {
                    OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                    OperandType.InlineVar => 2,
                    OperandType.InlineI8 or OperandType.InlineR => 8,
                    _ => 4,
                };
                break;
        }
    }

    private void AddAttributes(CustomAttributeHandleCollection attributes)
    {
        foreach (CustomAttributeHandle attribute in attributes)
        {
            Add(_metadata.GetCustomAttribute(attribute).Constructor);
        }
    }

    private void AddConstraints(GenericParameterHandleCollection parameters)
    {
        foreach (GenericParameterConstraintHandle constraint in parameters.SelectMany(parameter =>
            _metadata.GetGenericParameter(parameter).GetConstraints()))
        {
            Add(_metadata.GetGenericParameterConstraint(constraint).Type);
        }
    }

    private void Add(EntityHandle handle)
    {
        switch (handle.IsNil ? default : handle.Kind)
        {
            case HandleKind.TypeDefinition:
                Add(FolderOf((TypeDefinitionHandle)handle));
                break;
            case HandleKind.TypeSpecification:
                _metadata.GetTypeSpecification((TypeSpecificationHandle)handle).DecodeSignature(_references, null);
                break;
            case HandleKind.MethodDefinition:
                Add(_metadata.GetMethodDefinition((MethodDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.FieldDefinition:
                Add(_metadata.GetFieldDefinition((FieldDefinitionHandle)handle).GetDeclaringType());
                break;
            case HandleKind.MemberReference:
                Add(_metadata.GetMemberReference((MemberReferenceHandle)handle).Parent);
                break;
            case HandleKind.MethodSpecification:
                MethodSpecification method = _metadata.GetMethodSpecification((MethodSpecificationHandle)handle);
                Add(method.Method);
                method.DecodeSignature(_references, null);
                break;
        }
    }

    private void Add(string? folder)
    {
        if (folder is not null && folder != _from)
        {
            _arrows.Add((_from, folder));
        }
    }

    private string? FolderOf(TypeDefinitionHandle handle)
    {
        TypeDefinition type = _metadata.GetTypeDefinition(handle);
        while (!type.GetDeclaringType().IsNil)
        {
            type = _metadata.GetTypeDefinition(type.GetDeclaringType());
        }

        return FolderOf(_metadata.GetString(type.Namespace));
    }

    [GeneratedRegex(@"^namespace ([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^using (?:static )?([\w.]+);", RegexOptions.Multiline)]
    private static partial Regex Directive();

    /// <summary>Notes the types in a signature; nothing is made of them.</summary>
    private sealed class References(FolderGraph graph) : ISignatureTypeProvider<bool, object?>
    {
        public bool GetTypeFromDefinition(MetadataReader reader, TypeDefinitionHandle handle, byte rawTypeKind) => Note(handle);

        public bool GetTypeFromSpecification(MetadataReader reader, object? genericContext, TypeSpecificationHandle handle,
            byte rawTypeKind) => Note(handle);

        public bool GetTypeFromReference(MetadataReader reader, TypeReferenceHandle handle, byte rawTypeKind) => false;

        public bool GetArrayType(bool elementType, ArrayShape shape) => false;

        public bool GetByReferenceType(bool elementType) => false;

        public bool GetFunctionPointerType(MethodSignature<bool> signature) => false;

        public bool GetGenericInstantiation(bool genericType, ImmutableArray<bool> typeArguments) => false;

        public bool GetGenericMethodParameter(object? genericContext, int index) => false;

        public bool GetGenericTypeParameter(object? genericContext, int index) => false;

        public bool GetModifiedType(bool modifier, bool unmodifiedType, bool isRequired) => false;

        public bool GetPinnedType(bool elementType) => false;

        public bool GetPointerType(bool elementType) => false;

        public bool GetPrimitiveType(PrimitiveTypeCode typeCode) => false;

        public bool GetSZArrayType(bool elementType) => false;

        private bool Note(EntityHandle handle)
        {
            graph.Add(handle);
            return true;
        }
    }
}
