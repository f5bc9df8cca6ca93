"""The package signalrcore, whose callbacks come on threads of its own."""

import logging
import uuid
from concurrent.futures import Future

from signalrcore.hub.handlers import StreamHandler
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.messages.stream_invocation_message import StreamInvocationMessage
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

import coreclient
from judge import PATIENCE


class Client(coreclient.Client):
    """A connection with all transports, or the one that is wanted; the client can prefer one, not exclude others."""

    has = frozenset(("ServerSentEvents", "LongPolling", "skip"))

    def begin(self):
        o = self.options
        url_options = {"skip_negotiation": o.get("skip", False)}
        if len(self.transports) == 1:
            url_options["transport"] = HttpTransportType(self.transports[0])
        if "token" in o:
            url_options["access_token_factory"] = lambda: o["token"]
        builder = HubConnectionBuilder().with_url(self.url, options=url_options).configure_logging(logging.CRITICAL + 1)
        if self.binary:
            builder.with_hub_protocol(HubProtocolEncoding.binary)
        # The keep-alive interval can be set with automatic reconnect only.
        if o.get("reconnect") or "keep_alive" in o:
            builder.with_automatic_reconnect(
                {"type": "raw", "reconnect_interval": 0.2, "max_attempts": 20, "keep_alive_interval": o.get("keep_alive", 15)})
        self.calls, self.hub = {}, builder.build()
        self.hub.on_open(self.now_open)
        self.hub.on_reconnect(self.now_open)
        self.hub.on_close(self.now_closed)
        self.hub.on_error(lambda m: coreclient.settle(self.calls[m.invocation_id], m))
        for name, handler in self.handlers().items():
            self.hub.on(name, handler)
        self.hub.start()

    def send(self, method, *args):
        self.hub.send(method, list(args))

    def invoke(self, method, *args):
        call, id = Future(), str(uuid.uuid4())
        self.calls[id] = call  # their errors come to one place for all of them
        self.hub.invoke(method, list(args), lambda m: coreclient.settle(call, m), id)
        return call

    # The library's own stream asks for it before anybody can subscribe, and what comes in between is lost; this is its stream the other
    # way round.
    def stream(self, method, *args):
        """Gives the items of a stream that ends."""
        items, ended, id = [], Future(), str(uuid.uuid4())
        stream = StreamHandler(method, id)
        stream.subscribe({"next": items.append, "complete": ended.set_result, "error": ended.set_exception})
        self.hub.stream_handlers[id].append(stream)
        self.hub.transport.send(StreamInvocationMessage(id, method, list(args)))
        ended.result(PATIENCE)
        return items

    def upload(self, method, items):
        subject = Subject()
        self.hub.send(method, subject)
        for item in items:
            subject.next(item)
        subject.complete()

    # Only a stop in a callback, which is on the thread that receives, closes the connection at once. Any other waits for that thread, and
    # the connection stays open until the server next says something.
    def echo_stop(self):
        def answered(completion):
            self.send("Got", completion.result)
            self.stop()

        self.hub.invoke("Echo", ["x"], answered)

    def stop(self):
        self.hub.stop()
