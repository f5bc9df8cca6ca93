using System;
using System.Security.Principal;
using System.Threading.Tasks;
using Microsoft.AspNet.SignalR;
using Microsoft.Owin;
using Microsoft.Owin.Cors;
using Microsoft.Owin.Hosting;
using Owin;

namespace SignalRelay.TestHub
{
    /// <summary>The test hubs at /signalr, in a process of their own. The argument is the URL: http://127.0.0.1:5100.</summary>
    public static class Program
    {
        public static void Main(string[] args)
        {
            using (WebApp.Start<Startup>(args[0]))
            {
                Console.WriteLine("listening on " + args[0]);
                Console.ReadLine();
            }
        }
    }

    /// <summary>The same in an OWIN host of your own.</summary>
    public class Startup
    {
        public void Configuration(IAppBuilder app)
        {
            app.Use(CallerFromQuery);
            app.Map("/signalr", signalr =>
            {
                signalr.UseCors(CorsOptions.AllowAll);
                signalr.RunSignalR(new HubConfiguration { EnableJSONP = true });
            });
        }

        /// <summary>?user=alice makes the caller alice: what authentication would do, without a password.</summary>
        static Task CallerFromQuery(IOwinContext context, Func<Task> next)
        {
            var user = context.Request.Query["user"];
            if (!string.IsNullOrEmpty(user))
                context.Request.User = new GenericPrincipal(new GenericIdentity(user), new[] { "tester" });
            return next();
        }
    }
}
