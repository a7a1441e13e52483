using Ublk.Catalog;
using Ublk.Specification;

namespace Ublk.Tests.Specification;

/// <summary>Values out of range are refused before anything is touched.</summary>
public class DeviceSpecificationTests
{
    private static readonly DeviceSpecification Good = new() { Target = "Null" };

    private static readonly Dictionary<string, DeviceSpecification> Specifications = new()
    {
        ["+ defaults"] = Good,
        ["+ greatest id"] = Good with { Id = DeviceSpecification.MaxId },
        ["- negative id"] = Good with { Id = -1 },
        ["- id too great"] = Good with { Id = DeviceSpecification.MaxId + 1 },
        ["- no queue"] = Good with { QueueCount = 0 },
        ["- too many queues"] = Good with { QueueCount = 4097 },
        ["+ one tag"] = Good with { QueueDepth = 1 },
        ["- no depth"] = Good with { QueueDepth = 0 },
        ["- too deep"] = Good with { QueueDepth = 4097 },
        ["+ a thread for each tag"] = Good with { QueueDepth = 4, ThreadsPerQueue = 4 },
        ["- more threads than tags"] = Good with { QueueDepth = 4, ThreadsPerQueue = 5 },
        ["- no thread"] = Good with { ThreadsPerQueue = 0 },
        ["+ a page"] = Good with { MaxIoSize = 4096 },
        ["- less than a page"] = Good with { MaxIoSize = 2048 },
        ["- no multiple of a page"] = Good with { MaxIoSize = 5000 },
        ["- too great a request"] = Good with { MaxIoSize = 33 << 20 },
        ["- odd block"] = Good with { LogicalBlockSize = 1000 },
        ["- block too small"] = Good with { LogicalBlockSize = 256 },
        ["- block beyond a page"] = Good with { LogicalBlockSize = 1 << 20 },
        ["- physical below logical"] = Good with { LogicalBlockSize = 4096, PhysicalBlockSize = 512 },
        ["+ one list for all"] = Good with { QueueCount = 3, QueueAffinity = ["0"] },
        ["- lists that do not match"] = Good with { QueueCount = 3, QueueAffinity = ["0", "1"] },
        ["- no list"] = Good with { QueueAffinity = ["x"] },
        ["+ name"] = Good with { Name = "the data, ü.1" },
        ["- name with a slash"] = Good with { Name = "a/b" },
        ["- name of dots"] = Good with { Name = ".." },
        ["- name with a control character"] = Good with { Name = "a\tb" },
        ["- empty name"] = Good with { Name = "" },
        ["- name too long"] = Good with { Name = new string('ü', 128) },
        ["+ unprivileged"] = Good with { Unprivileged = true },
        ["- unprivileged and recovery"] = Good with { Unprivileged = true, Recovery = RecoveryMode.Queue },
        ["- unprivileged and zero copy"] = Good with { Unprivileged = true, BufferMode = BufferMode.ZeroCopy },
        ["- unprivileged and a name"] = Good with { Unprivileged = true, Name = "data" },
        ["- unknown target"] = Good with { Target = "Zero" },
        ["+ restored by itself"] = Good with { AutoRestart = true, Recovery = RecoveryMode.Fail },
        ["- restored by itself, without recovery"] = Good with { AutoRestart = true },
    };

    public static TheoryData<string> Names => [.. Specifications.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Ranges_are_kept(string name)
    {
        Exception? exception = Record.Exception(() => SpecificationCheck.Run(Specifications[name]));
        Assert.Equal(name[0] == '-', exception is UblkException);
    }
}
