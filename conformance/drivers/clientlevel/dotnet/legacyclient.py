"""Microsoft.AspNet.SignalR.Client for asyncio."""

import asyncio
from urllib.parse import quote

import clr

clr.AddReference("Microsoft.AspNet.SignalR.Client")
clr.AddReference("Newtonsoft.Json")

from Microsoft.AspNet.SignalR.Client import HubConnection
from Microsoft.AspNet.SignalR.Client.Http import DefaultHttpClient
from Microsoft.AspNet.SignalR.Client.Transports import (
    AutoTransport, IClientTransport, LongPollingTransport, ServerSentEventsTransport, WebSocketTransport,
)
from Newtonsoft.Json.Linq import JToken
from System import Action, Array, Exception as NetException, Int32, Object, String
from System.Collections.Generic import Dictionary, IList

from dotnet import finished, objects

WEB_SOCKETS = WebSocketTransport
SERVER_SENT_EVENTS = ServerSentEventsTransport
LONG_POLLING = LongPollingTransport
AUTO = AutoTransport


class Connection:
    """One HubConnection with a proxy of the hub chat.

    Its calls and handlers take and give JSON values as the client has them: handed back to it they are the same on the wire. What the
    client calls from threads of its own comes in the event loop, in order.
    """

    def __init__(self, scenario, *, transport=WEB_SOCKETS, query=None):
        """Makes a client for the scenario. The transport is one of the above, or a list of those that may be tried in turn."""
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self.error = None  # the text of the last one
        self.closed = asyncio.Event()
        parameters = Dictionary[String, String]()
        for name, value in (query or {}).items():
            parameters[name] = quote(value)  # the client puts them into addresses as they are
        self.hub = HubConnection(scenario.url, parameters, False)
        self.chat = self.hub.CreateHubProxy("chat")
        self.hub.Error += Action[NetException](lambda e: self.loop.call_soon_threadsafe(self.failed, e.GetBaseException().Message))
        self.hub.Closed += Action(lambda: self.loop.call_soon_threadsafe(self.closed.set))

    def failed(self, text):
        self.error = text

    async def start(self):
        http = DefaultHttpClient()
        if isinstance(self.transport, list):
            transport = AutoTransport(http, Array[IClientTransport]([t(http) for t in self.transport]))
        else:
            transport = self.transport(http)
        await finished(self.hub.Start(transport))

    async def stop(self):
        await asyncio.to_thread(self.hub.Stop)  # returns when abort has been answered

    def on(self, method, handler):
        """Has handler(x), a coroutine function, run at each call of a method with one argument."""
        run = self.in_loop(handler)
        self.chat.Subscribe(method).Received += Action[IList[JToken]](lambda args: run(args[0]))

    def set_state(self, name, value):
        self.chat[name] = JToken.FromObject(Int32(value))

    async def invoke(self, method, *args):
        return await finished(self.chat.Invoke[Object](method, objects(args)))

    async def invoke_with_progress(self, method, progress):
        """Invokes a method and has progress(x), a coroutine function, run at each progress of it."""
        report = Action[Object](self.in_loop(progress))
        return await finished(self.chat.Invoke[Object, Object](method, report, objects([])))

    def in_loop(self, handler):
        """Gives a function that any thread may call, and that has handler(x) run in the event loop."""
        return lambda x: self.loop.call_soon_threadsafe(lambda: self.loop.create_task(handler(x)))
