"""What Microsoft.AspNet.SignalR.Client is made to do in each scenario, as its page says.

A task is given the scenario and returns when the client has done its part; what it still does then, or does not, is the judge's to see.
"""

import asyncio
from contextlib import suppress

from legacyclient import AUTO, LONG_POLLING, SERVER_SENT_EVENTS, WEB_SOCKETS, Connection, NetException


async def nothing(*_):
    pass


async def echo(c):
    return await c.invoke("Echo", "x")


async def speak(c):
    """Echo where the connection is lost right behind the answer: the client may lose that too."""
    with suppress(NetException):
        await echo(c)


def greeted(times=1, speaks=False, after=nothing, **options):
    """A connection that tells that it got hello, and stops after so many of them and after(c). It calls Echo at once where it speaks."""
    async def task(s):
        c, hellos = Connection(s, **options), asyncio.Queue()

        async def hello(x):
            await c.invoke("Got", x)
            hellos.put_nowait(x)

        c.on("hello", hello)
        await c.start()
        if speaks:
            await speak(c)
        for _ in range(times):
            await hellos.get()
        await after(c)
        await c.stop()

    return task


def lives(life, setup=lambda c: None, **options):
    """A connection that starts, life(c), stop."""
    async def task(s):
        c = Connection(s, **options)
        c.on("hello", nothing)
        setup(c)
        await c.start()
        await life(c)
        await c.stop()

    return task


def fails(text=lambda error: error, well=None, **options):
    """Start fails, and the judge is told how, or what went well."""
    async def task(s):
        c = Connection(s, **options)
        c.on("hello", nothing)
        try:
            await c.start()
        except NetException as e:
            await s.said(text(e.GetBaseException().Message))
        else:
            if well is None:
                raise AssertionError("start did not fail")
            await s.said(well)

    return task


def closes(text):
    """The connection closes, and the judge is told so, or what its error was."""
    async def task(s):
        c = Connection(s)
        c.on("hello", nothing)
        await c.start()
        await speak(c)
        await c.closed.wait()
        await s.said(text(c.error))

    return task


async def error(c):
    try:
        await c.invoke("Fail")
    except NetException as e:
        await c.invoke("Got", e.GetBaseException().Message)
    await echo(c)


async def answers_swapped(c):
    async def ask(method):
        await c.invoke("Got", await c.invoke(method))

    await asyncio.gather(ask("One"), ask("Two"))


async def progress(c):
    await c.invoke_with_progress("Work", lambda n: c.invoke("Got", n))
    await c.invoke("Got", "done")
    await echo(c)


async def state(c):
    await c.invoke("Count")
    await echo(c)


async def restart(s):
    c = Connection(s)
    c.on("hello", nothing)
    for _ in range(2):
        await c.start()
        await echo(c)
        await c.stop()


tasks = {
    "legacy-websockets": greeted(after=echo),
    "legacy-events": greeted(after=echo, transport=SERVER_SENT_EVENTS),
    "legacy-polling": greeted(after=echo, transport=LONG_POLLING),
    "legacy-polling-groups": greeted(after=echo, transport=LONG_POLLING),
    "legacy-polling-blank": greeted(after=echo, transport=LONG_POLLING),
    "legacy-version-old": fails(),
    "legacy-version-unknown": fails(),
    "legacy-version-15": greeted(after=echo),
    "legacy-version-21": greeted(after=echo),
    "legacy-negotiate-error": fails(),
    "legacy-core-server": fails(),
    "legacy-no-connect-timeout": fails(lambda error: "failed", well="connected", transport=AUTO),
    "legacy-init-late": greeted(after=echo),
    "legacy-early-message": greeted(after=echo),
    "legacy-start-500": fails(),
    "legacy-start-wrong": fails(),
    "legacy-fallback": lives(echo, transport=[WEB_SOCKETS, SERVER_SENT_EVENTS]),
    "legacy-no-websockets": lives(echo, transport=[WEB_SOCKETS, SERVER_SENT_EVENTS]),
    "legacy-query": lives(echo, query={"user": "al ice"}),
    "legacy-error": lives(error),
    "legacy-answers-swapped": lives(answers_swapped),
    "legacy-progress": lives(progress),
    "legacy-state": lives(state, setup=lambda c: c.set_state("counter", 1)),
    "legacy-batch": greeted(times=3),
    "legacy-result-in-messages": lives(echo),
    "legacy-disconnect-frame": greeted(after=echo),
    "legacy-error-frame": closes(lambda error: error or "no error"),
    "legacy-reconnect": greeted(speaks=True),
    "legacy-reconnect-close": greeted(speaks=True),
    "legacy-reconnect-events": greeted(speaks=True, transport=SERVER_SENT_EVENTS),
    "legacy-reconnect-polling": greeted(speaks=True, transport=LONG_POLLING),
    "legacy-poll-shutdown": greeted(speaks=True, transport=LONG_POLLING),
    "legacy-keep-alive-lost": greeted(),
    "legacy-keep-alive": greeted(),
    "legacy-no-keep-alive": greeted(),
    "legacy-gives-up": closes(lambda error: "closed"),
    "legacy-restart": restart,
    "legacy-redirect": lives(echo, query={"user": "1"}),
    "legacy-redirect-no-token": lives(echo, query={"user": "1"}),
    "legacy-redirect-loop": fails(),
}
