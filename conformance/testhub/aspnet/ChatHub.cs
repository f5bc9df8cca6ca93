using System;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.AspNet.SignalR;
using Microsoft.AspNet.SignalR.Hubs;
using Microsoft.CSharp.RuntimeBinder;
using Binder = Microsoft.CSharp.RuntimeBinder.Binder;

namespace SignalRelay.TestHub
{
    /// <summary>
    /// The contract of the level "hub" for ASP.NET SignalR 2: every feature of a hub that a client can see. Clients have the
    /// method message(text).
    /// </summary>
    [HubName("chatHub")]
    public class ChatHub : Hub
    {
        static int connects, disconnects, reconnects;

        public override Task OnConnected()
        {
            Interlocked.Increment(ref connects);
            return base.OnConnected();
        }

        public override Task OnReconnected()
        {
            Interlocked.Increment(ref reconnects);
            return base.OnReconnected();
        }

        public override Task OnDisconnected(bool stopCalled)
        {
            Interlocked.Increment(ref disconnects);
            return base.OnDisconnected(stopCalled);
        }

        /// <summary>"connects disconnects reconnects".</summary>
        public string Stats() => $"{connects} {disconnects} {reconnects}";

        // Values.

        public string Echo(string text) => text;
        public int Add(int a, int b) => a + b;
        public object Mirror(object value) => value;
        public int Length(string text) => text.Length;
        public string Big(int length) => new string('z', length);
        public int Overload(int a) => a;
        public int Overload(int a, int b) => a + b;
        public void Nothing() { }

        public async Task<string> Slow(int milliseconds)
        {
            await Task.Delay(milliseconds);
            return "slept " + milliseconds;
        }

        // Failures: the first is for the client, the text of the second must not get there.

        public string Fail() => throw new HubException("told you so", new { code = 42, reason = "because" });
        public string Crash() => throw new InvalidOperationException("secret detail");

        // What the hub knows of its caller.

        public string MyId() => Context.ConnectionId;
        public string MyUser() => Context.User?.Identity?.Name;
        public string Query(string key) => Context.QueryString[key];
        public string Header(string key) => Context.Headers[key];
        public string Cookie(string name) => Context.RequestCookies.TryGetValue(name, out var cookie) ? cookie.Value : null;

        // Receivers.

        public Task SendAll(string m) => Clients.All.message(m);
        public Task SendOthers(string m) => Clients.Others.message(m);
        public Task SendCaller(string m) => Clients.Caller.message(m);
        public Task SendClient(string id, string m) => Clients.Client(id).message(m);
        public Task SendClients(string[] ids, string m) => Clients.Clients(ids).message(m);
        public Task SendAllExcept(string[] ids, string m) => Clients.AllExcept(ids).message(m);
        public Task SendUser(string user, string m) => Clients.User(user).message(m);
        public Task SendUsers(string[] users, string m) => Clients.Users(users).message(m);
        public Task SendGroup(string group, string m) => Clients.Group(group).message(m);
        public Task SendGroups(string[] groups, string m) => Clients.Groups(groups).message(m);
        public Task SendOthersInGroup(string group, string m) => Clients.OthersInGroup(group).message(m);
        public Task SendGroupExcept(string group, string[] ids, string m) => Clients.Group(group, ids).message(m);

        public Task Join(string group) => Groups.Add(Context.ConnectionId, group);
        public Task JoinOther(string id, string group) => Groups.Add(id, group);
        public Task Leave(string group) => Groups.Remove(Context.ConnectionId, group);

        /// <summary>Reports 1, 2, …, count, and returns count.</summary>
        public async Task<int> Progress(int count, IProgress<int> progress)
        {
            for (var i = 1; i <= count; i++)
            {
                progress.Report(i);
                await Task.Delay(50); // a long poll has to fetch each before the result
            }
            return count;
        }

        // The state that a client sends with its calls: Clients.Caller.<key>, where the key is known only now.

        public object GetState(string key)
        {
            var binder = Binder.GetMember(CSharpBinderFlags.None, key, typeof(ChatHub), Arguments(1));
            var get = CallSite<Func<CallSite, object, object>>.Create(binder);
            return get.Target(get, Clients.Caller);
        }

        public void SetState(string key, object value)
        {
            var binder = Binder.SetMember(CSharpBinderFlags.None, key, typeof(ChatHub), Arguments(2));
            var set = CallSite<Func<CallSite, object, object, object>>.Create(binder);
            set.Target(set, Clients.Caller, value);
        }

        static CSharpArgumentInfo[] Arguments(int count) =>
            Enumerable.Repeat(CSharpArgumentInfo.Create(CSharpArgumentInfoFlags.None, null), count).ToArray();
    }

    /// <summary>A second hub on the same connection.</summary>
    [HubName("otherHub")]
    public class OtherHub : Hub
    {
        public string Ping() => "pong";
        public Task SendAll(string m) => Clients.All.message(m);
    }
}
