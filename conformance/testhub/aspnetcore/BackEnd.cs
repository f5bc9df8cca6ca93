using System.Threading.Tasks;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.SignalR;

namespace SignalRelay.TestHub
{
    /// <summary>What an app does with its hub from outside of it, asked for over HTTP.</summary>
    static class BackEnd
    {
        public static void Map(IEndpointRouteBuilder app)
        {
            var hub = (IHubContext<ChatHub>)app.ServiceProvider.GetService(typeof(IHubContext<ChatHub>));
            var presence = (Presence)app.ServiceProvider.GetService(typeof(Presence));

            app.MapPost("/backend/all", c => hub.Clients.All.SendAsync("message", M(c)));
            app.MapPost("/backend/client/{id}", c => hub.Clients.Client(Part(c, "id")).SendAsync("message", M(c)));
            app.MapPost("/backend/user/{user}", c => hub.Clients.User(Part(c, "user")).SendAsync("message", M(c)));
            app.MapPost("/backend/group/{group}", c => hub.Clients.Group(Part(c, "group")).SendAsync("message", M(c)));
            app.MapPost("/backend/join/{id}/{group}", c => hub.Groups.AddToGroupAsync(Part(c, "id"), Part(c, "group")));
            app.MapPost("/backend/leave/{id}/{group}", c => hub.Groups.RemoveFromGroupAsync(Part(c, "id"), Part(c, "group")));
            app.MapPost("/backend/ask/{id}", async c =>
            {
                var answer = await hub.Clients.Client(Part(c, "id")).AskAsync(c.Request.Query["q"]);
                await c.Response.WriteAsync(answer);
            });
            app.MapPost("/backend/close/{id}", c =>
            {
                if (!presence.Close(Part(c, "id")))
                    c.Response.StatusCode = StatusCodes.Status404NotFound;
                return Task.CompletedTask;
            });
            app.MapGet("/backend/stats", c => c.Response.WriteAsync(presence.ToString()));
        }

        static string M(HttpContext c) => c.Request.Query["m"].ToString();

        static string Part(HttpContext c, string name) => (string)c.Request.RouteValues[name];
    }
}
