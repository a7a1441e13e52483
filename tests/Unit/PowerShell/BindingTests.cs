using System.Management.Automation;
using Ublk.Devices;
using Ublk.PowerShell;
using Ublk.Tests.Images;

namespace Ublk.Tests.PowerShell;

/// <summary>
/// How input reaches the parameters of cmdlets. With -WhatIf a cmdlet says which device it would change, and needs no driver.
/// </summary>
public sealed class BindingTests : IDisposable
{
    private readonly CmdletSession _session = new();

    public static TheoryData<string> DeviceCmdlets =>
        ["Backup-UblkDevice -DestinationPath /x.qcow2", "Checkpoint-UblkDevice -OverlayPath /x.qcow2", "Merge-UblkDevice",
            "Move-UblkDevice -DestinationPath /x.img",
            "Remove-UblkDevice", "Resize-UblkDevice -Size 1GB", "Resume-UblkDevice", "Set-UblkDevice -QueueAffinity 0",
            "Start-UblkDevice", "Stop-UblkDevice", "Suspend-UblkDevice", "Update-UblkDevice"];

    public static TheoryData<string> Cmdlets =>
        [.. typeof(HumanSize).Assembly.GetTypes().Where(type => type is { IsAbstract: false } && type.IsSubclassOf(typeof(PSCmdlet)))
            .Select(type => type.GetCustomAttributes(typeof(CmdletAttribute), false).Cast<CmdletAttribute>().Single())
            .Select(cmdlet => $"{cmdlet.VerbName}-{cmdlet.NounName}")];

    public void Dispose() => _session.Dispose();

    [Theory]
    [MemberData(nameof(DeviceCmdlets))]
    public void A_device_is_named_by_position_by_value_and_by_property(string cmdlet)
    {
        string name = cmdlet.Split(' ')[0];
        string options = cmdlet[name.Length..];
        _session.Run($"{name} 3 {options} -WhatIf");
        _session.Run($"4, 5 | {name} {options} -WhatIf");
        _session.Run($"[pscustomobject] @{{ Id = 6 }} | {name} {options} -WhatIf");
        _session.Run($"$args[0] | {name} {options} -WhatIf", new UblkDevice { Id = 7 });
        _session.Run($"{name} -InputObject $args[0] {options} -WhatIf", new UblkDevice { Id = 8 });

        Assert.Empty(_session.Errors);
        Assert.Equal(
            ["3", "4", "5", "6", "7", "8"],
            _session.Host.Lines.Select(line => line.Split("/dev/ublkb")[1].Split('"')[0]));
        Assert.All(_session.Host.Lines, line => Assert.StartsWith("What if: ", line, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(DeviceCmdlets))]
    public void A_device_is_named_once(string cmdlet)
    {
        _session.Run($"{cmdlet} -Id 1 -Path /dev/ublkb1 -WhatIf");
        Assert.StartsWith("AmbiguousParameterSet,", Assert.Single(_session.Errors).FullyQualifiedErrorId, StringComparison.Ordinal);
        Assert.Empty(_session.Host.Lines);
    }

    [Fact]
    public void A_script_block_names_the_destination_of_each_image()
    {
        using ImageFolder folder = new();
        string image = folder.Create("a.qcow2", 1 << 20);
        _session.Run("Get-Item $args[0] | Convert-UblkImage -Destination { '/new/' + $_.BaseName } -WhatIf", image);
        Assert.Empty(_session.Errors);
        Assert.Contains("to /new/a\"", Assert.Single(_session.Host.Lines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Checkpoint-UblkImage x.qcow2 -Name { $_.Name } -WhatIf")]
    [InlineData("New-UblkImage x.qcow2 1MB -DataFile { $_.Name } -WhatIf")]
    [InlineData("New-UblkDevice x.img -Name { $_.Name } -WhatIf")]
    public void A_script_block_is_no_name(string command)
    {
        _session.Run(command);
        Assert.Contains("ForEach-Object", Assert.Single(_session.Errors).Exception.Message, StringComparison.Ordinal);
        Assert.Empty(_session.Host.Lines);
    }

    [Theory]
    [InlineData("qcow2", "Use -Target Qcow2.")]
    [InlineData("vhdx", "qemu-img convert -f vhdx -O qcow2")]
    [InlineData("vdi", "qemu-img convert -f vdi -O qcow2")]
    public void A_disk_of_bytes_is_not_made_of_an_image(string format, string remedy)
    {
        using ImageFolder folder = new();
        string image = folder["image"];
        Shell.Run("qemu-img", "create", "-q", "-f", format, image, "4M");
        string[] commands =
            ["New-UblkDevice", "New-UblkDevice -Filter Delay=1 -Path", "Register-UblkDevice -Name a -Target Loop -Path"];
        foreach (string command in commands)
        {
            _session.Run($"{command} $args[0] -WhatIf", image);
            Assert.Contains(remedy, Assert.Single(_session.Errors).Exception.Message, StringComparison.Ordinal);
            Assert.StartsWith("InvalidBackingFile,", _session.Errors[0].FullyQualifiedErrorId, StringComparison.Ordinal);
            Assert.Empty(_session.Host.Lines);
        }

        _session.Run("New-UblkDevice $args[0] -Format Raw -WhatIf; New-UblkDevice $args[0] -Offset 1MB -WhatIf", image);
        Assert.Empty(_session.Errors);
        Assert.Equal(2, _session.Host.Lines.Count);
    }

    [Theory]
    [InlineData("disk.img", "Loop")]
    [InlineData("disk.qcow2", "Qcow2")]
    [InlineData("disk.QCOW2", "Qcow2")]
    [InlineData("disk.qcow", "Qcow2")]
    [InlineData("qcow2", "Loop")]
    public void The_target_follows_from_the_extension(string name, string target)
    {
        using ImageFolder folder = new();
        File.WriteAllBytes(folder[name], new byte[1 << 20]);
        foreach (string command in (string[])["New-UblkDevice $args[0]", "Get-Item $args[0] | New-UblkDevice",
            "New-UblkDevice -LiteralPath $args[0]"])
        {
            _session.Run($"{command} -WhatIf", folder[name]);
            Assert.Empty(_session.Errors);
            Assert.Contains($"\"{target}, {folder[name]}\"", _session.Host.Lines[^1], StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_options_of_the_target_that_follows_from_the_extension_are_parameters()
    {
        using ImageFolder folder = new();
        File.WriteAllBytes(folder["a.img"], new byte[1 << 20]);
        File.WriteAllBytes(folder["a.qcow2"], new byte[1 << 20]);
        _session.Run("New-UblkDevice $args[0] -Offset 4096 -WhatIf; New-UblkDevice $args[1] -CacheSize 1MB -WhatIf", folder["a.img"],
            folder["a.qcow2"]);
        Assert.Empty(_session.Errors);
        Assert.Equal(2, _session.Host.Lines.Count);
        _session.Run("New-UblkDevice $args[0] -CacheSize 1MB -WhatIf", folder["a.img"]);
        Assert.StartsWith("NamedParameterNotFound,", Assert.Single(_session.Errors).FullyQualifiedErrorId, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("New-UblkDevice -WhatIf", "New-UblkDevice -Target Null")]
    [InlineData("Register-UblkDevice -Name a -WhatIf", "Register-UblkDevice disk.img")]
    [InlineData("New-UblkDevice -Assembly /dev/null -WhatIf", "add -Target NAME")]
    public void Neither_a_file_nor_a_target_is_an_error_that_names_the_command(string command, string says)
    {
        _session.Run(command);
        Assert.Contains(says, Assert.Single(_session.Errors).Exception.Message, StringComparison.Ordinal);
        Assert.StartsWith("InvalidArgument,", _session.Errors[0].FullyQualifiedErrorId, StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_of_bytes_may_be_encrypted_by_LUKS()
    {
        using ImageFolder folder = new();
        File.WriteAllBytes(folder["image"], [.. "LUKS"u8, 0xBA, 0xBE, 0, 1, .. new byte[1 << 20]]);
        _session.Run("New-UblkDevice $args[0] -WhatIf", folder["image"]);
        Assert.Empty(_session.Errors);
        Assert.Single(_session.Host.Lines);
    }

    public static TheoryData<string> ImageCmdlets =>
        ["Resize-UblkImage -Size 2MB -WhatIf", "Optimize-UblkImage -WhatIf", "Checkpoint-UblkImage -WhatIf",
            "Convert-UblkImage -Destination new -WhatIf",
            "Restore-UblkImageSnapshot -Snapshot 1 -WhatIf", "Repair-UblkImage -WhatIf",
            "Remove-UblkImageSnapshot -Snapshot 1 -WhatIf", "New-UblkImageBitmap -Name 1 -WhatIf",
            "Clear-UblkImageBitmap -Bitmap 1 -WhatIf", "Remove-UblkImageBitmap -Bitmap 1 -WhatIf", "New-UblkDevice -WhatIf"];

    // The name of the one is a pattern that the name of the other matches.
    [Theory]
    [MemberData(nameof(ImageCmdlets))]
    public void A_path_that_is_a_property_is_taken_as_it_is(string cmdlet)
    {
        using ImageFolder folder = new();
        string literal = folder.Create("a[1].qcow2", 1 << 20);
        _ = folder.Create("a1.qcow2", 1 << 20);
        foreach (string source in (string[])["Get-UblkImage", "Get-Item"])
        {
            _session.Run($"{source} -LiteralPath $args[0] | {cmdlet}", literal);
            Assert.Empty(_session.Errors);
        }

        Assert.Equal(2, _session.Host.Lines.Count(line => line.Contains("a[1].qcow2", StringComparison.Ordinal)));
        Assert.DoesNotContain(_session.Host.Lines, line => line.Contains("a1.qcow2", StringComparison.Ordinal));
    }

    [Fact]
    public void Wildcards_of_an_argument_and_of_a_string_in_the_pipeline_are_expanded()
    {
        using ImageFolder folder = new();
        string literal = folder.Create("a[1].qcow2", 1 << 20);
        string other = folder.Create("a1.qcow2", 1 << 20);
        Assert.Equal([other], _session.Run("Get-UblkImage -Path $args[0]", literal).Select(image => image.Properties["Path"].Value));
        Assert.Equal([other], _session.Run("$args[0] | Get-UblkImage", literal).Select(image => image.Properties["Path"].Value));
        Assert.Equal([literal], _session.Run("Get-UblkImage -LiteralPath $args[0] | Get-UblkImage", literal)
            .Select(image => image.Properties["Path"].Value));
    }

    [Theory]
    [MemberData(nameof(DeviceCmdlets))]
    public void A_device_is_named_by_a_path_in_each_way(string cmdlet)
    {
        string name = cmdlet.Split(' ')[0];
        string options = cmdlet[name.Length..];
        using ImageFolder folder = new();
        string file = folder["disk[1].img"];
        File.WriteAllBytes(file, new byte[512]);
        foreach (string script in (string[])[
            $"{name} -Path ([WildcardPattern]::Escape($args[0])) {options} -WhatIf", $"{name} -LiteralPath $args[0] {options} -WhatIf",
            $"Get-Item -LiteralPath $args[0] | {name} {options} -WhatIf"])
        {
            // No device has this file: a pattern would not mind.
            _session.Run(script, file);
            ErrorRecord error = Assert.Single(_session.Errors);
            Assert.StartsWith("DeviceNotFound,", error.FullyQualifiedErrorId, StringComparison.Ordinal);
            Assert.Contains("disk", error.Exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/images/*", "/images/a.img", true)]
    [InlineData("/images/*", "/images/old/a.img", false)]
    [InlineData("/*/a.img", "/images/old/a.img", false)]
    [InlineData("/work[1]/*.img", "/work[1]/a.img", true)]
    [InlineData("/work[1]/*.img", "/work1/a.img", false)]
    [InlineData("/other[1]/*.img", "/other1/a.img", true)]
    public void A_wildcard_matches_within_a_component(string pattern, string path, bool matches) =>
        Assert.Equal(matches, new PathPattern(pattern, "/work[1]").IsMatch(path));

    [Theory]
    [MemberData(nameof(Cmdlets))]
    public void A_cmdlet_has_an_approved_verb(string name) =>
        Assert.Equal(true, Assert.Single(_session.Run("(Get-Command $args[0]).Verb -in (Get-Verb).Verb", name)).BaseObject);

    [Theory]
    [MemberData(nameof(Cmdlets))]
    public void A_cmdlet_that_changes_something_supports_WhatIf(string name)
    {
        bool changes = name.Split('-')[0] is not ("Get" or "Measure" or "Watch" or "Format" or "Test" or "Compare");
        CmdletInfo cmdlet = (CmdletInfo)Assert.Single(_session.Run("Get-Command $args[0]", name)).BaseObject;
        Assert.Equal(changes, cmdlet.Parameters.ContainsKey("WhatIf"));
        Assert.Equal(changes, cmdlet.Parameters.ContainsKey("Confirm"));
    }
}
