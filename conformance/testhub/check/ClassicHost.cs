using System;
using System.Security.Principal;
using System.Threading.Tasks;
using LegacyPeer;
using Microsoft.AspNet.SignalR;
using Microsoft.AspNet.SignalR.Hubs;
using Microsoft.AspNet.SignalR.Infrastructure;
using Microsoft.AspNet.SignalR.Owin.Middleware;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace SignalRelay.TestHub
{
    /// <summary>
    /// The hubs of ../aspnet in the host of the peers, which has what ASP.NET SignalR needs outside of Windows. It stands in for
    /// ../aspnet/Program.cs, which needs .NET Framework or Mono.
    /// </summary>
    public static class ClassicHost
    {
        public static Task Main(string[] args)
        {
            var builder = WebApplication.CreateBuilder(args);
            builder.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Information);
            var app = builder.Build();
            var stopping = app.Lifetime.ApplicationStopping;

            var resolver = new DefaultDependencyResolver();
            resolver.Register(typeof(IPerformanceCounterManager), () => new Counters());
            resolver.Register(typeof(IProtectedData), () => new Protector("test hub"));
            resolver.Register(typeof(IHubDescriptorProvider), () => new HubList(typeof(ChatHub), typeof(OtherHub)));
            resolver.Register(typeof(IAssemblyLocator), () => new EnumerableOfAssemblyLocator(new[] { typeof(ChatHub).Assembly }));
            GlobalHost.DependencyResolver = resolver;
            Microsoft.AspNet.SignalR.Hosting.HostDependencyResolverExtensions.InitializeHost(resolver, "testhub", stopping);

            var signalr = new HubDispatcherMiddleware(null, new HubConfiguration { Resolver = resolver, EnableJSONP = true });
            var mount = new Mount { Path = "/signalr", Cors = true, App = env => signalr.Invoke(new Microsoft.Owin.OwinContext(env)) };
            var bridge = new OwinBridge(mount, "testhub", stopping, TimeSpan.FromSeconds(30));
            app.Run(context =>
            {
                var user = context.Request.Query["user"].ToString();
                var caller = user == "" ? null : new GenericPrincipal(new GenericIdentity(user), new[] { "tester" });
                return context.Request.Path.StartsWithSegments(mount.Path, out var rest) ? bridge.Invoke(context, rest.Value, caller) : Task.CompletedTask;
            });
            return app.RunAsync();
        }
    }
}
