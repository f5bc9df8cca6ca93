"""The package pysignalr, which lives in an event loop; it has WebSockets only."""

import asyncio
import logging
import threading
from concurrent.futures import Future

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

import coreclient
from judge import PATIENCE

logging.getLogger("pysignalr").setLevel(logging.CRITICAL + 1)
loop = asyncio.new_event_loop()  # of all connections
threading.Thread(target=loop.run_forever, daemon=True).start()


class Client(coreclient.Client):
    """A connection. It connects again by itself, whether that is wanted or not."""

    has = frozenset(("results",))

    def begin(self):
        o = self.options
        self.hub = SignalRClient(
            self.url.replace("127.0.0.1", "localhost"),  # its cookie jar takes nothing from a server that is named by an address
            protocol=MessagepackProtocol() if self.binary else JSONProtocol(),
            signalr_ping_interval=o.get("keep_alive", 15),
            access_token_factory=lambda: o.get("token"),
        )
        self.hub.on_open(later(self.now_open))
        self.hub.on_error(later(lambda m: None))  # a call's own callback is told its error too
        for name, handler in self.handlers().items():
            self.hub.on(name, later(handler))
        if "results" in o:
            self.hub.on("ask", self.ask)
        self.running = asyncio.run_coroutine_threadsafe(self.hub.run(), loop)
        self.running.add_done_callback(lambda run: self.now_closed(None if run.cancelled() else run.exception()))

    async def ask(self, arguments):
        return arguments[0] + 1

    def send(self, method, *args):
        wait(self.hub.send(method, list(args)))

    def invoke(self, method, *args):
        call = Future()
        wait(self.hub.send(method, list(args), later(lambda m: coreclient.settle(call, m))))
        return call

    def stream(self, method, *args):
        """Gives the items of a stream that ends."""
        items, ended = [], Future()
        wait(self.hub.stream(method, list(args), later(items.append), later(ended.set_result), later(ended.set_exception)))
        ended.result(PATIENCE)
        return items

    def upload(self, method, items):
        async def go():
            async with self.hub.client_stream(method) as stream:
                for item in items:
                    await stream.send(item)

        wait(go())

    def stop(self):
        self.running.cancel()


def wait(coroutine):
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE)


def later(f):
    """Gives f as the coroutine function that pysignalr wants for a callback."""
    async def call(*args):
        f(*args)

    return call
