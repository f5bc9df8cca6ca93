"""One face for the two clients, so that one list of checks serves both. Every call blocks."""

import asyncio
import logging
import queue
import threading
import uuid
from concurrent.futures import Future, TimeoutError

from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol
from signalrcore.hub.handlers import StreamHandler
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.messages.stream_invocation_message import StreamInvocationMessage
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

from battery import MARK
from net import Net


class HubError(Exception):
    """What the hub answered instead of a result."""


class Client:
    """What both clients share: the calls that were made and what came."""

    def __init__(self, url, lane, query="", cuttable=False):
        self.lane = lane
        self.net = Net() if cuttable else None
        self.url = url if not query else url + ("&" if "?" in url else "?") + query
        if cuttable:
            self.url = self.net.through(self.url)
        self.messages = queue.Queue()
        self.welcomes = queue.Queue()
        self.opens = queue.Queue()
        self.closes = queue.Queue()
        self.start()
        self.opens.get(timeout=20)

    def received(self, arguments):
        text, at, mark = arguments[0].rpartition("@")
        if not at:
            self.messages.put(arguments[0])
        elif at + mark == MARK:
            self.messages.put(text)

    def ask(self, method, *args):
        return self.call(method, list(args)).result(15)

    def tell(self, method, *args):
        """Invokes a method; the message of a Send method, its last argument, is marked."""
        if method.startswith("Send"):
            args = (*args[:-1], args[-1] + MARK)
        return self.ask(method, *args)

    def id(self):
        return self.ask("MyId")

    def next(self, seconds=10):
        """Gives the oldest message, or None when none comes in time."""
        try:
            return self.messages.get(timeout=seconds)
        except queue.Empty:
            return None

    def dispose(self):
        try:
            self.stop()
        except Exception:
            pass  # a client that was cut has nothing to stop
        if self.net:
            self.net.close()


def settle(future, message):
    """Ends a call with a completion message."""
    if future.done():
        return
    if message.error:
        future.set_exception(HubError(message.error))
    else:
        future.set_result(message.result)


class Core(Client):
    """The package signalrcore, whose calls come back on threads of its own."""

    can_return = False
    negotiates_again = False

    def start(self):
        self.calls = {}
        logging.getLogger("SignalRCoreClient").setLevel(logging.CRITICAL)
        builder = (
            HubConnectionBuilder()
            .with_url(self.url, options={"transport": HttpTransportType(self.lane.transport), "headers": {"X-Test": "seen"}})
            .with_hub_protocol(HubProtocolEncoding.binary if self.lane.binary else HubProtocolEncoding.text)
            .configure_logging(logging.CRITICAL)
        )
        if self.net:
            builder.with_automatic_reconnect({"type": "raw", "keep_alive_interval": 10, "reconnect_interval": 1, "max_attempts": 20})
        self.hub = builder.build()
        self.hub.on_open(lambda: self.opens.put(True))
        self.hub.on_reconnect(lambda: self.opens.put(True))
        self.hub.on_close(lambda: self.closes.put(True))
        self.hub.on_error(lambda m: settle(self.calls.pop(m.invocation_id, Future()), m))
        self.hub.on("message", self.received)
        self.hub.on("welcome", lambda a: self.welcomes.put(a[0]))
        self.hub.start()

    def call(self, method, args):
        future, call = Future(), str(uuid.uuid4())
        self.calls[call] = future
        self.hub.invoke(method, args, lambda m: settle(future, m), call)
        return future

    # Of a poll's answer with several messages this client takes the first and leaves the others until later polls are answered. So over
    # long polling other calls follow one, until its answer is at hand.
    def ask(self, method, *args):
        future = self.call(method, list(args))
        if self.lane.transport == "LongPolling":
            for _ in range(60):
                try:
                    return future.result(0.25)
                except TimeoutError:
                    self.call("Nothing", [])
        return future.result(15)

    # The library's own stream sends before anybody can subscribe, and what comes in between is lost; this is its stream the other way round.
    def stream(self, method, args):
        items, ended, call = [], Future(), str(uuid.uuid4())
        self.calls[call] = ended
        handler = StreamHandler(method, call)
        handler.subscribe({"next": items.append, "complete": lambda m: settle(ended, m), "error": lambda m: settle(ended, m)})
        self.hub.stream_handlers[call].append(handler)
        self.hub.transport.send(StreamInvocationMessage(call, method, args, headers=self.hub.headers))
        return items, ended

    def upload(self, method, items):
        subject = Subject()
        self.hub.send(method, subject)
        for item in items:
            subject.next(item)
        subject.complete()

    # The library's stop waits for a thread of its own that sleeps up to 15 s.
    def stop(self):
        threading.Thread(target=self.hub.stop, daemon=True).start()


class Py(Client):
    """The package pysignalr, which lives in an event loop; it has WebSockets only."""

    can_return = True
    negotiates_again = True
    loop = None

    def start(self):
        if Py.loop is None:
            Py.loop = asyncio.new_event_loop()
            threading.Thread(target=Py.loop.run_forever, daemon=True).start()
        logging.getLogger("pysignalr").setLevel(logging.CRITICAL + 1)
        self.hub = SignalRClient(
            self.url, protocol=MessagepackProtocol() if self.lane.binary else JSONProtocol(), headers={"X-Test": "seen"}, retry_sleep=0.2,
        )
        self.hub.on_open(later(lambda: self.opens.put(True)))
        self.hub.on_close(later(lambda: self.closes.put(True)))
        self.hub.on_error(later(lambda m: None))  # a call's own callback tells its error too
        self.hub.on("message", later(self.received))
        self.hub.on("welcome", later(lambda a: self.welcomes.put(a[0])))
        self.hub.on("question", self.question)
        self.running = asyncio.run_coroutine_threadsafe(self.hub.run(), Py.loop)
        self.running.add_done_callback(lambda _: self.closes.put(True))

    async def question(self, arguments):
        if arguments[0] == "throw":
            raise RuntimeError("client refuses")
        return "answer to " + arguments[0]

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, Py.loop).result(15)

    def call(self, method, args):
        future = Future()
        self.wait(self.hub.send(method, args, later(lambda m: settle(future, m))))
        return future

    def stream(self, method, args):
        items, ended = [], Future()
        end = later(lambda m: settle(ended, m))
        self.wait(self.hub.stream(method, args, later(items.append), end, end))
        return items, ended

    def upload(self, method, items):
        async def go():
            async with self.hub.client_stream(method) as stream:
                for item in items:
                    await stream.send(item)

        self.wait(go())

    def stop(self):
        self.running.cancel()


def later(f):
    """Gives f as the coroutine function that pysignalr wants for a callback."""
    async def call(*args):
        f(*args)

    return call
