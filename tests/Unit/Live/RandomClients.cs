using Ublk.Io;
using Ublk.Tests.Serving;

namespace Ublk.Tests.Live;

/// <summary>Clients that write at random, each blocks of its own, until they are stopped. A write that fails changed nothing.</summary>
internal sealed class RandomClients : IDisposable
{
    public const int Block = 4096;
    public const int Size = 4 << 20;
    public const int Queues = 2;
    public const int Tags = 2;

    private readonly List<Thread> _threads = [];
    private volatile bool _isStopped;
    private int _failures;

    /// <summary>Begins to write.</summary>
    /// <param name="served">The disk.</param>
    /// <param name="content">What it has; kept up.</param>
    public RandomClients(ServedQueues served, byte[] content)
    {
        for (int number = 0; number < Queues * Tags; number++)
        {
            int client = number;
            Thread thread = new(() => Write(served, content, client)) { IsBackground = true };
            _threads.Add(thread);
            thread.Start();
        }
    }

    /// <summary>How many writes failed.</summary>
    public int Failures => _failures;

    public void Stop()
    {
        _isStopped = true;
        _threads.ForEach(thread => thread.Join());
    }

    public void Dispose() => Stop();

    private void Write(ServedQueues served, byte[] content, int client)
    {
        Random random = new(client);
        byte[] data = new byte[Block];
        while (!_isStopped)
        {
            int block = (random.Next(Size / Block / (Queues * Tags)) * Queues * Tags) + client;
            bool isZeroing = random.Next(4) == 0;
            data.AsSpan().Fill(isZeroing ? (byte)0 : (byte)random.Next(256));
            IoOperation operation = isZeroing ? IoOperation.WriteZeroes : IoOperation.Write;
            served.Begin(client / Tags, client % Tags, operation, block * Block, data);
            if (served.End(client / Tags, client % Tags, default) >= 0)
            {
                data.CopyTo(content.AsSpan(block * Block));
            }
            else
            {
                Interlocked.Increment(ref _failures);
            }
        }
    }
}
