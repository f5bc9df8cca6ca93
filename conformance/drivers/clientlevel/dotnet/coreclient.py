"""Microsoft.AspNetCore.SignalR.Client for asyncio."""

import asyncio

import clr

for assembly in (
    "Microsoft.AspNetCore.SignalR.Client",
    "Microsoft.AspNetCore.SignalR.Client.Core",
    "Microsoft.AspNetCore.Http.Connections.Client",
    "Microsoft.AspNetCore.Http.Connections.Common",
    "System.Threading.Channels",
):
    clr.AddReference(assembly)

from Microsoft.AspNetCore.Http.Connections import HttpTransportType
from Microsoft.AspNetCore.Http.Connections.Client import HttpConnectionOptions
from Microsoft.AspNetCore.SignalR.Client import HubConnectionBuilder, HubConnectionBuilderHttpExtensions
from System import Action, Array, Exception as NetException, Func, Int32, Object, String, TimeSpan, Type, Uri
from System.Threading import CancellationToken, CancellationTokenSource
from System.Threading.Channels import Channel
from System.Threading.Tasks import Task

from clients import AUTOMATIC_RECONNECT, CLIENT_RESULTS, MESSAGEPACK, STATEFUL_RECONNECT, TIMEOUTS, UPLOAD_STREAMS
from dotnet import finished, objects

WEB_SOCKETS = HttpTransportType.WebSockets
SERVER_SENT_EVENTS = HttpTransportType.ServerSentEvents
LONG_POLLING = HttpTransportType.LongPolling

# Stop throws away what was sent just before and is not on the wire yet. From so many bytes on a send returns when they are: a call of Got
# is longer, and shorter in MessagePack. A cancellation is shorter still, for the client of .NET 6, which has no MessagePack here, does not
# wait for its end before the next call, and would fail that.
UNSENT, UNSENT_MESSAGEPACK = 40, 8

OBJECT = clr.GetClrType(Object)
INT = clr.GetClrType(Int32)


class Connection:
    """One HubConnection.

    Its calls and handlers take and give what the hub protocol makes of a value where the app asks for no type: handed back to the client
    it is the same on the wire. What the client calls from threads of its own comes in the event loop, in order.
    """

    def __init__(self, scenario, *, token=None, reconnect=False, stateful=False, pack=False, skip=False,
                 transport=WEB_SOCKETS | SERVER_SENT_EVENTS | LONG_POLLING, timeout=None, keep_alive=None):
        """Makes a client for the scenario. The times are seconds.

        A client without automatic reconnect stays away after an end, which some scenarios want of any; whatever else it has no option
        for raises Skip.
        """
        self.client = scenario.client
        reconnect = reconnect and self.client.has(AUTOMATIC_RECONNECT)
        self.loop = asyncio.get_running_loop()
        self.reconnected = asyncio.Queue()  # of connection ids
        self.closed = self.loop.create_future()  # the text of the error, None where there is none

        def options(o):
            o.SkipNegotiation = skip
            if hasattr(o, "ApplicationMaxBufferSize"):  # not in the oldest client, which does not need it
                o.ApplicationMaxBufferSize = UNSENT_MESSAGEPACK if scenario.pack else UNSENT
            if token:
                o.AccessTokenProvider = Func[Task[String]](lambda: Task.FromResult[String](token))

        builder = HubConnectionBuilder()
        HubConnectionBuilderHttpExtensions.WithUrl(builder, Uri(scenario.url), transport, Action[HttpConnectionOptions](options))
        if pack or scenario.pack:
            self.client.needs(MESSAGEPACK)
            add_message_pack(builder)
        if stateful:
            self.client.needs(STATEFUL_RECONNECT)
            HubConnectionBuilderHttpExtensions.WithStatefulReconnect(builder)
        if reconnect:
            reconnect_at_once(builder)
        self.hub = builder.Build()
        if timeout:
            self.hub.ServerTimeout = TimeSpan.FromSeconds(timeout)
        if keep_alive:
            self.client.needs(TIMEOUTS)
            self.hub.KeepAliveInterval = TimeSpan.FromSeconds(keep_alive)
        if reconnect:
            self.hub.Reconnected += Func[String, Task](lambda id: self.post(self.reconnected.put_nowait, id))
        self.hub.Closed += Func[NetException, Task](lambda e: self.post(self.closed.set_result, e and e.Message))

    def post(self, call, *args):
        """Has the event loop make a call, from any thread."""
        self.loop.call_soon_threadsafe(call, *args)
        return Task.CompletedTask

    async def start(self):
        await finished(self.hub.StartAsync(CancellationToken(False)))

    async def stop(self):
        await finished(self.hub.StopAsync(CancellationToken(False)))

    def on(self, method, handler, arguments=1):
        """Has the handler, a coroutine function, run at each call of a method with so many arguments."""
        handle = Func[Array[Object], Object, Task](lambda args, _: self.post(lambda: self.loop.create_task(handler(*args))))
        self.hub.On(method, Array[Type]([OBJECT] * arguments), handle, None)

    def returns(self, method, result):
        """Answers each call of a method that takes an int with result(x), an int too."""
        self.client.needs(CLIENT_RESULTS)
        handle = Func[Array[Object], Object, Task[Object]](lambda args, _: Task.FromResult[Object](Int32(result(args[0]))))
        self.hub.On(method, Array[Type]([INT]), handle, None)

    async def invoke(self, method, *args):
        return await finished(self.hub.InvokeCoreAsync(method, OBJECT, objects(args), CancellationToken(False)))

    async def send(self, method, *args):
        await finished(self.hub.SendCoreAsync(method, objects(args), CancellationToken(False)))

    async def stream(self, method, *args):
        """Yields the items of a stream. Who leaves off before its end has cancelled it."""
        cancel = CancellationTokenSource()
        reader = await finished(self.hub.StreamAsChannelCoreAsync(method, OBJECT, objects(args), cancel.Token))
        try:
            while await finished(reader.WaitToReadAsync(CancellationToken(False)).AsTask()):
                yield (await finished(reader.ReadAsync(CancellationToken(False)).AsTask()))
        except GeneratorExit:
            cancel.Cancel()
            raise

    async def upload(self, method, items):
        """Invokes a method with a stream of ints."""
        self.client.needs(UPLOAD_STREAMS)
        channel = Channel.CreateUnbounded[Int32]()
        for item in items:
            channel.Writer.TryWrite(item)
        channel.Writer.Complete(None)
        return await self.invoke(method, channel.Reader)


def reconnect_at_once(builder):
    """Has the client try six times without a delay."""
    from Microsoft.AspNetCore.SignalR.Client import HubConnectionBuilderExtensions

    HubConnectionBuilderExtensions.WithAutomaticReconnect(builder, Array[TimeSpan]([TimeSpan.Zero] * 6))


def add_message_pack(builder):
    clr.AddReference("Microsoft.AspNetCore.SignalR.Protocols.MessagePack")
    from Microsoft.Extensions.DependencyInjection import MessagePackProtocolDependencyInjectionExtensions

    MessagePackProtocolDependencyInjectionExtensions.AddMessagePackProtocol(builder)
