using System.Security.Claims;
using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.SignalR;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace SignalRelay.TestHub
{
    /// <summary>The test hub at /chat, and its back end. Options are the host's own: --urls http://127.0.0.1:5000.</summary>
    public static class Program
    {
        public static Task Main(string[] args)
        {
            var builder = WebApplication.CreateBuilder(args);
            builder.Logging.SetMinimumLevel(LogLevel.Warning).AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Information);
            builder.Services.AddCors();
            builder.Services.AddSingleton<Presence>();
            builder.Services
                .AddSignalR(o =>
                {
                    o.MaximumReceiveMessageSize = 1 << 20;
                    o.MaximumParallelInvocationsPerClient = 2; // Ask would else wait for itself
                })
                .AddMessagePackProtocol();

            var app = builder.Build();
            app.UseCors(p => p.SetIsOriginAllowed(_ => true).AllowAnyHeader().AllowAnyMethod().AllowCredentials());
            app.Use(CallerFromQuery);
            app.MapHub<ChatHub>("/chat", o => o.AllowStatefulReconnects = true);
            BackEnd.Map(app);
            return app.RunAsync();
        }

        /// <summary>?user=alice makes the caller alice: what authentication would do, without a password.</summary>
        static Task CallerFromQuery(HttpContext context, RequestDelegate next)
        {
            var user = context.Request.Query["user"].ToString();
            if (user != "")
            {
                context.User = new ClaimsPrincipal(new ClaimsIdentity(new[]
                {
                    new Claim(ClaimTypes.NameIdentifier, user),
                    new Claim(ClaimTypes.Name, user),
                    new Claim(ClaimTypes.Role, "tester"),
                    new Claim("favourite", "blue"),
                }, "query"));
            }
            return next(context);
        }
    }
}
