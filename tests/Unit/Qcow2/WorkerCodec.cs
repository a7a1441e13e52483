using System.Runtime.CompilerServices;
using Ublk.Qcow2.Compression;
using Ublk.Worker;

namespace Ublk.Tests.Qcow2;

/// <summary>The codec that the worker adds, for all tests.</summary>
internal static class WorkerCodec
{
    [ModuleInitializer]
    internal static void Add() => ClusterCodec.AddZstd(new ZstdCodec());
}
