"""One face for the clients of ASP.NET Core SignalR, so that one list of tasks serves them all."""

import queue
from concurrent.futures import Future

from judge import PATIENCE, Skip

# What a task may ask for that not every client has.
LACKS = {
    "ServerSentEvents": "this client has no server-sent events",
    "LongPolling": "this client has no long polling",
    "stateful": "this client has no stateful reconnect",
    "timeout": "this client cannot set its timeouts",
    "results": "this client cannot return results",
    "cancel": "this client cannot cancel a stream",
    "skip": "this client cannot leave out negotiate",
}


class HubError(Exception):
    """What the hub answered instead of a result."""


class Client:
    """A connection. Its calls come from the thread of a task and block; what the hub says is put where that thread waits for it.

    The options are transports, a tuple of those that the task wants, in the protocol's spelling; token; reconnect; binary, for
    MessagePack; keep_alive, in seconds; and those of LACKS. The class of a client says what of LACKS it has, and brings begin, which
    connects, send, invoke, which gives a Future, stream, upload and stop."""

    has = frozenset()

    def __init__(self, scenario, transports=(), **options):
        for need in (*transports, *options):
            if need in LACKS and need not in self.has:
                raise Skip(LACKS[need])
        self.url, self.transports, self.options = scenario.url, transports, options
        self.binary = scenario.binary or options.get("binary", False)
        self.opened, self.closed = Future(), Future()
        self.reopened = queue.Queue()
        self._called = {"hello": queue.Queue(), "go": queue.Queue()}

    def start(self):
        """Connects, and raises what the client says where that fails."""
        self.begin()
        self.opened.result(PATIENCE)

    def called(self, method):
        """Gives the argument of the oldest call of hello or go that was not given yet, None where it has none."""
        return next(iter(self._called[method].get(timeout=PATIENCE)), None)

    def handlers(self):
        """The methods that the hub may call, each with a function of the list of arguments."""
        return {name: calls.put for name, calls in self._called.items()}

    def echo_stop(self):
        """Calls Echo("x"), sends Got with its result, and stops: how most scenarios end."""
        self.send("Got", self.invoke("Echo", "x").result(PATIENCE))
        self.stop()

    def now_open(self):
        """Takes that the connection is open, for the first time or again."""
        if self.opened.done():
            self.reopened.put(True)
        else:
            self.opened.set_result(None)

    def now_closed(self, error=None):
        """Takes that the connection is closed for good, and what the app was told of it."""
        if not self.opened.done():
            self.opened.set_exception(error or ConnectionError("closed before it was open"))
        elif not self.closed.done():
            self.closed.set_result(error)


def settle(call, completion):
    """Ends a call with its Completion message."""
    if completion.error:
        call.set_exception(HubError(completion.error))
    else:
        call.set_result(completion.result)
