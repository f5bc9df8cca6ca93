"""The packages signalr-client-threads and signalr-unified-client, for ASP.NET SignalR: the second began as the first, and the class of
both is signalr.Connection. The second says that it speaks ASP.NET Core SignalR too, but negotiates by GET, which is refused there."""

import logging
import queue
import threading
from concurrent.futures import Future

from requests import Session
from signalr import Connection

from judge import PATIENCE, Skip

# What a task may need. What a client has, its connections have a member for; these have none but reconnect, and that only one of them.
# Both open a WebSocket, or an event stream where the server has no WebSockets.
LACKS = {
    "longPolling": "this client has no long polling",
    "serverSentEvents": "this client cannot choose its transport",
    "reconnect": "this client has no automatic reconnect",
    "progress": "this client has no progress of calls",
    "state": "this client has no state of hub proxies",
    "protocol_2_0": "this client is older than protocol 2.0",
    "protocol_2_1": "this client is older than protocol 2.1",
}

logging.disable(logging.CRITICAL)  # what they log is told by their events too


class HubError(Exception):
    """What the hub answered instead of a result."""


class Client:
    """A connection with the hub chat and its handler hello. Its calls come from the thread of a task and block."""

    def __init__(self, scenario, query=None, **needs):
        self.connection = Connection(scenario.url, Session())
        for need in needs:
            if not hasattr(self.connection, need):
                raise Skip(LACKS[need])
        self.hellos, self.closed = queue.Queue(), Future()
        self._calls, self._count, self._calling = {}, 0, threading.Lock()
        self.connection.qs = query or {}
        self.connection.received += self._received
        self.connection.exception += lambda kind, error, trace: self.closed.done() or self.closed.set_result(error)
        self.chat = self.connection.register_hub("chat")
        self.chat.client.on("hello", self.hellos.put)

    def start(self):
        self.connection.start()

    def hello(self):
        """Gives the argument of the oldest call of hello that was not given yet."""
        return self.hellos.get(timeout=PATIENCE)

    def call(self, method, *args):
        """Calls a method of the hub, and gives a Future. The client tells nobody of an answer, but it numbers its calls from 0, and shows
        all that comes."""
        with self._calling:
            call = self._calls[str(self._count)] = Future()
            self._count += 1
            self.chat.server.invoke(method, *args)
        return call

    def invoke(self, method, *args):
        """Calls a method of the hub and gives its result."""
        return self.call(method, *args).result(PATIENCE)

    def _received(self, **message):
        call = self._calls.pop(str(message.get("I")), None)
        if call and "E" in message:
            call.set_exception(HubError(message["E"]))
        elif call:
            call.set_result(message.get("R"))

    # It waits for the thread that receives, which wakes when the server next says something.
    def stop(self):
        threading.Thread(target=self.connection.close, daemon=True).start()
