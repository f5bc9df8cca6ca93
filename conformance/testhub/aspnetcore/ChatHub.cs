using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNetCore.SignalR;

namespace SignalRelay.TestHub
{
    /// <summary>
    /// The contract of the level "hub": every feature of a hub that a client can see. Clients have the methods message(text),
    /// welcome(connectionId) and question(text), which answers.
    /// </summary>
    public sealed class ChatHub : Hub
    {
        readonly Presence presence;

        public ChatHub(Presence presence) => this.presence = presence;

        public override async Task OnConnectedAsync()
        {
            presence.Came(Context);
            if (Query("refuse") == "yes")
                throw new HubException("not you");
            await Clients.Caller.SendAsync("welcome", Context.ConnectionId);
        }

        public override Task OnDisconnectedAsync(Exception exception)
        {
            presence.Left(Context.ConnectionId, exception);
            return Task.CompletedTask;
        }

        // Values.

        public string Echo(string text) => text;
        public int Add(int a, int b) => a + b;
        public Point Mirror(Point p) => new Point { X = p.Y, Y = p.X, Label = p.Label };
        public Table Same(Table table) => table;
        public byte[] Backwards(byte[] bytes) => bytes.Reverse().ToArray();
        public int Length(string text) => text.Length;
        public string Big(int length) => new string('z', length);
        public void Nothing() { }

        // Failures: the first text is for the client, the second must not get there.

        public string Fail() => throw new HubException("told you so");
        public string Crash() => throw new InvalidOperationException("secret detail");

        // What the hub knows of its caller.

        public string MyId() => Context.ConnectionId;
        public string MyUser() => Context.UserIdentifier;
        public string MyName() => Context.User?.Identity?.Name;
        public bool Authenticated() => Context.User?.Identity?.IsAuthenticated ?? false;
        public bool InRole(string role) => Context.User?.IsInRole(role) ?? false;
        public string Claim(string type) => Context.User?.FindFirst(type)?.Value;
        public string Query(string key) => Context.GetHttpContext()?.Request.Query[key];
        public string Header(string key) => Context.GetHttpContext()?.Request.Headers[key];
        public string Path() => Context.GetHttpContext()?.Request.Path;

        // Receivers.

        public Task SendAll(string m) => Clients.All.SendAsync("message", m);
        public Task SendOthers(string m) => Clients.Others.SendAsync("message", m);
        public Task SendCaller(string m) => Clients.Caller.SendAsync("message", m);
        public Task SendClient(string id, string m) => Clients.Client(id).SendAsync("message", m);
        public Task SendClients(string[] ids, string m) => Clients.Clients(ids).SendAsync("message", m);
        public Task SendAllExcept(string[] ids, string m) => Clients.AllExcept(ids).SendAsync("message", m);
        public Task SendUser(string user, string m) => Clients.User(user).SendAsync("message", m);
        public Task SendUsers(string[] users, string m) => Clients.Users(users).SendAsync("message", m);
        public Task SendGroup(string group, string m) => Clients.Group(group).SendAsync("message", m);
        public Task SendGroups(string[] groups, string m) => Clients.Groups(groups).SendAsync("message", m);
        public Task SendOthersInGroup(string group, string m) => Clients.OthersInGroup(group).SendAsync("message", m);
        public Task SendGroupExcept(string group, string[] ids, string m) => Clients.GroupExcept(group, ids).SendAsync("message", m);

        public Task Join(string group) => Groups.AddToGroupAsync(Context.ConnectionId, group);
        public Task JoinOther(string id, string group) => Groups.AddToGroupAsync(id, group);
        public Task Leave(string group) => Groups.RemoveFromGroupAsync(Context.ConnectionId, group);

        // Order.

        /// <summary>Sends b0, b1, … to the caller, as fast as they are taken.</summary>
        public async Task Burst(int count)
        {
            for (var i = 0; i < count; i++)
                await Clients.Caller.SendAsync("message", "b" + i);
        }

        /// <summary>Returns at once; t0, t1, … follow, one each interval of so many milliseconds.</summary>
        public void Tick(int count, int milliseconds)
        {
            var caller = Clients.Caller; // the hub itself is gone when this method has returned
            _ = Task.Run(async () =>
            {
                for (var i = 0; i < count; i++)
                {
                    await caller.SendAsync("message", "t" + i);
                    await Task.Delay(milliseconds);
                }
            });
        }

        /// <summary>Keeps a number for this connection.</summary>
        public void Collect(int number)
        {
            lock (Context.Items)
                Collection().Add(number);
        }

        public int[] Collected()
        {
            lock (Context.Items)
                return Collection().ToArray();
        }

        List<int> Collection()
        {
            if (!Context.Items.TryGetValue("collection", out var kept))
                Context.Items["collection"] = kept = new List<int>();
            return (List<int>)kept;
        }

        // Streams.

        public async IAsyncEnumerable<int> Counter(int count, int milliseconds, [EnumeratorCancellation] CancellationToken cancelled)
        {
            try
            {
                for (var i = 0; i < count; i++)
                {
                    cancelled.ThrowIfCancellationRequested();
                    yield return i;
                    if (milliseconds > 0)
                        await Task.Delay(milliseconds, cancelled);
                }
            }
            finally
            {
                presence.StreamEnded();
            }
        }

        /// <summary>Fails after so many items.</summary>
        public async IAsyncEnumerable<int> CounterFail(int after)
        {
            for (var i = 0; i < after; i++)
            {
                yield return i;
                await Task.Yield();
            }
            throw new HubException("stream broke");
        }

        public async Task<int> Sum(IAsyncEnumerable<int> numbers)
        {
            var sum = 0;
            await foreach (var n in numbers)
                sum += n;
            return sum;
        }

        /// <summary>Sends each text to the caller and returns how many there were.</summary>
        public async Task<int> Relay(IAsyncEnumerable<string> texts)
        {
            var count = 0;
            await foreach (var text in texts)
            {
                await Clients.Caller.SendAsync("message", text);
                count++;
            }
            return count;
        }

        /// <summary>A stream in both directions.</summary>
        public async IAsyncEnumerable<int> Double(IAsyncEnumerable<int> numbers, [EnumeratorCancellation] CancellationToken cancelled)
        {
            try
            {
                await foreach (var n in numbers.WithCancellation(cancelled))
                    yield return 2 * n;
            }
            finally
            {
                presence.StreamEnded();
            }
        }

        /// <summary>How many result streams have ended.</summary>
        public int Streams() => presence.StreamsEnded;

        // The rest.

        public Task<string> Ask(string id, string question) => Clients.Client(id).AskAsync(question);

        public void Abort() => Context.Abort();

        /// <summary>"connects disconnects last-error".</summary>
        public string Stats() => presence.ToString();
    }

    static class Questions
    {
        /// <summary>The client's answer, or "error: " and why there is none within ten seconds.</summary>
        public static async Task<string> AskAsync(this ISingleClientProxy client, string question)
        {
            using (var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10)))
            {
                try
                {
                    return await client.InvokeAsync<string>("question", question, limit.Token);
                }
                catch (Exception e)
                {
                    return "error: " + e.Message;
                }
            }
        }
    }

    public sealed class Point
    {
        public int X { get; set; }
        public int Y { get; set; }
        public string Label { get; set; }
    }

    /// <summary>A value of every kind, which has to come back as it was.</summary>
    public sealed class Table
    {
        public string[] Names { get; set; }
        public Dictionary<string, double> Values { get; set; }
        public byte[] Raw { get; set; }
        public DateTime When { get; set; }
        public long Large { get; set; }
        public bool Yes { get; set; }
        public string Nothing { get; set; }
    }
}
