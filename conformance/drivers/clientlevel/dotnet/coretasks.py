"""What Microsoft.AspNetCore.SignalR.Client is made to do in each scenario, as its page says.

A task is given the scenario and returns when the client has done its part; what it still does then, or does not, is the judge's to see.
"""

import asyncio
from contextlib import suppress

from clients import AUTOMATIC_RECONNECT
from coreclient import LONG_POLLING, SERVER_SENT_EVENTS, WEB_SOCKETS, Connection, NetException


async def nothing(*_):
    pass


async def stop(c):
    await c.stop()


async def echo(c):
    return await c.invoke("Echo", "x")


async def echo_stop(c):
    await c.send("Got", await echo(c))
    await c.stop()


def lives(life, **options):
    """A connection that starts, and then life(c)."""
    async def task(s):
        c = Connection(s, **options)
        await c.start()
        await life(c)

    return task


def answers(**options):
    """A connection that answers each hello with Got."""
    async def task(s):
        c = Connection(s, **options)
        c.on("hello", lambda x: c.send("Got", x))
        await c.start()

    return task


def greeted(times=1, **options):
    """The same, with Echo and stop after so many of them."""
    async def task(s):
        c, hellos = Connection(s, **options), asyncio.Queue()

        async def hello(x):
            await c.send("Got", x)
            hellos.put_nowait(x)

        c.on("hello", hello)
        await c.start()
        for _ in range(times):
            await hellos.get()
        await echo_stop(c)

    return task


def called(method, arguments, life=echo_stop, setup=lambda c: None, **options):
    """When a method with so many arguments is called, life(c)."""
    async def task(s):
        c, call = Connection(s, **options), asyncio.Event()

        async def come(*args):
            call.set()

        setup(c)
        c.on(method, come, arguments)
        await c.start()
        await call.wait()
        await life(c)

    return task


def fails(**options):
    """Start fails, and the judge is told how."""
    async def task(s):
        try:
            await Connection(s, **options).start()
        except NetException as e:
            await s.said(e.Message)
        else:
            raise AssertionError("start did not fail")

    return task


def closes(text=lambda error: "closed", **options):
    """The connection closes, and the judge is told so, or how."""
    async def task(s):
        c = Connection(s, **options)
        await c.start()
        await s.said(text(await c.closed))

    return task


def reconnects(times=1, first=nothing, **options):
    """Echo and stop after so many reconnects."""
    async def task(s):
        c = Connection(s, reconnect=True, **options)
        c.client.needs(AUTOMATIC_RECONNECT)
        await c.start()
        beside = asyncio.create_task(first(c, s))
        for _ in range(times):
            await c.reconnected.get()
        await echo_stop(c)
        await beside

    return task


async def send(c):
    await c.send("Got", "there")
    await echo_stop(c)


async def completion_null(c):
    await c.send("Got", await c.invoke("Five"))
    await echo_stop(c)


async def completion_error(c):
    try:
        await c.invoke("Fail")
    except NetException:
        await c.send("Got", True)
    await echo_stop(c)


async def answers_swapped(c):
    async def ask(method):
        await c.send("Got", await c.invoke(method))

    await asyncio.gather(ask("One"), ask("Two"))


async def stream(c):
    await c.send("Got", [i async for i in c.stream("Count", 3)])
    await echo_stop(c)


async def stream_cancel(c):
    items = c.stream("Forever")
    await anext(items)
    await anext(items)
    await items.aclose()
    await echo_stop(c)


async def upload(c):
    await c.upload("Sum", [1, 2, 3])
    await echo_stop(c)


async def stateful_call(c):
    await c.send("Got", await echo(c))


async def slow(c, s):
    try:
        await c.invoke("Slow")
    except NetException:
        await s.said("failed")


async def post_409(c):
    with suppress(NetException):
        await c.invoke("Echo", "lost")
    await echo_stop(c)


async def stop_in_negotiate(s):
    c = Connection(s)
    start = asyncio.create_task(c.start())
    await asyncio.sleep(0.2)
    await c.stop()
    with suppress(NetException):
        await start


tasks = {
    "websockets": greeted(),
    "events": greeted(transport=SERVER_SENT_EVENTS),
    "polling": greeted(transport=LONG_POLLING),
    "polling-empty": greeted(transport=LONG_POLLING),
    "skip-negotiation": lives(echo_stop, skip=True, transport=WEB_SOCKETS),
    "negotiate-version-0": lives(echo_stop),
    "negotiate-version-1": lives(echo_stop),
    "negotiate-error": fails(),
    "negotiate-404": fails(),
    "negotiate-401": fails(token="test-token"),
    "negotiate-old-server": fails(),
    "negotiate-headers": lives(echo_stop),
    "cookie": lives(echo_stop),
    "fallback": lives(echo_stop),
    "messagepack-transport": lives(stop, pack=True, transport=SERVER_SENT_EVENTS | LONG_POLLING),
    "polling-first-404": fails(),
    "polling-end": closes(),
    "polling-500": reconnects(),
    "polling-401": closes(token="test-token"),
    "post-409": called("go", 1, post_409, transport=SERVER_SENT_EVENTS),
    "token-websockets": lives(echo_stop, token="tok+/=1"),
    "token-events": lives(echo_stop, token="tok+/=1"),
    "token-polling": lives(echo_stop, token="tok+/=1"),
    "redirect": lives(echo_stop, token="app-token"),
    "redirect-bare": lives(echo_stop),
    "redirect-no-token": lives(echo_stop, token="app-token"),
    "redirect-polling": lives(echo_stop, token="app-token"),
    "redirect-loop": fails(),
    "redirect-reconnect": reconnects(token="app-token"),
    "handshake-error": fails(reconnect=True),
    "handshake-joined": greeted(),
    "handshake-split": lives(echo_stop),
    "message-split": greeted(),
    "messages-joined": greeted(times=3),
    "frames": greeted(),
    "event-lines": greeted(),
    "unknown-type": lives(echo_stop),
    "unknown-call": lives(echo_stop),
    "completion-unknown": lives(echo_stop),
    "unknown-members": greeted(),
    "completion-null": lives(completion_null),
    "completion-error": lives(completion_error),
    "answers-swapped": lives(answers_swapped),
    "send": lives(send),
    "stream": lives(stream),
    "stream-cancel": lives(stream_cancel),
    "upload": lives(upload),
    "client-result": called("go", 0, setup=lambda c: c.returns("ask", lambda x: x + 1)),
    "close": closes(reconnect=True),
    "close-error": closes(lambda error: error or "no error", reconnect=True),
    "close-no-reconnect": closes(),
    "close-reconnect": reconnects(),
    "close-frames": reconnects(times=4),
    "pending-call": reconnects(first=slow),
    "events-end": reconnects(),
    "keep-alive": called("hello", 1, keep_alive=0.3),
    "server-timeout": lives(nothing, timeout=1),
    "server-alive": called("hello", 1, timeout=1),
    "stop-in-negotiate": stop_in_negotiate,
    "stateful": answers(stateful=True),
    "stateful-acknowledged": answers(stateful=True),
    "stateful-ack": answers(stateful=True),
    "stateful-first": answers(stateful=True),
    "stateful-sequence-too-high": closes(stateful=True),
    "stateful-refused": reconnects(stateful=True),
    "stateful-call": lives(stateful_call, stateful=True),
    "stateful-close-reconnect": reconnects(stateful=True),
    "stateful-close": lives(nothing, reconnect=True, stateful=True),
}
