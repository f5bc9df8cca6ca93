using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Threading;
using Microsoft.AspNetCore.SignalR;

namespace SignalRelay.TestHub
{
    /// <summary>Who is here, and who was. One for all connections of the hub.</summary>
    public sealed class Presence
    {
        readonly ConcurrentDictionary<string, HubCallerContext> here = new ConcurrentDictionary<string, HubCallerContext>();
        int connects, disconnects, streamsEnded;
        volatile string lastError = "";

        public int StreamsEnded => Volatile.Read(ref streamsEnded);

        public IEnumerable<string> Ids => here.Keys;

        public void Came(HubCallerContext caller)
        {
            Interlocked.Increment(ref connects);
            here[caller.ConnectionId] = caller;
        }

        public void Left(string id, Exception exception)
        {
            here.TryRemove(id, out _);
            Interlocked.Increment(ref disconnects);
            lastError = exception?.Message ?? "";
        }

        public void StreamEnded() => Interlocked.Increment(ref streamsEnded);

        /// <summary>Ends a connection that lives in this process.</summary>
        public bool Close(string id)
        {
            if (!here.TryGetValue(id, out var caller))
                return false;
            caller.Abort();
            return true;
        }

        public override string ToString() => $"{Volatile.Read(ref connects)} {Volatile.Read(ref disconnects)} {lastError}";
    }
}
