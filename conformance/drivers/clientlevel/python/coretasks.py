"""What a client is made to do in each scenario of ASP.NET Core SignalR, as the scenario's page says. A task is given the class of the
client and the scenario, and returns when the client has done its part; what it still does then, or does not, is the judge's to see."""

import threading
import time

from coreclient import HubError
from judge import PATIENCE, describe

FLAVOUR = "core"
EVENTS, POLLING = {"transports": ("ServerSentEvents",)}, {"transports": ("LongPolling",)}
TOKEN, APP_TOKEN = {"token": "tok+/=1"}, {"token": "app-token"}


def echo_stop(c):
    c.echo_stop()


def lives(life, **options):
    """A connection that starts, and then life(c)."""
    def task(connect, scenario):
        c = connect(scenario, **options)
        c.start()
        life(c)

    return task


def greeted(times=1, **options):
    """A connection that answers so many calls of hello, and then calls Echo and stops."""
    def life(c):
        for _ in range(times):
            c.send("Got", c.called("hello"))
        c.echo_stop()

    return lives(life, **options)


def fails(**options):
    """Start fails, and the judge is told how."""
    def task(connect, scenario):
        c = connect(scenario, **options)
        try:
            c.start()
        except Exception as e:  # whatever kind a client has for it
            scenario.said(describe(e))
        else:
            raise AssertionError("start did not fail")

    return task


def closes(text=lambda error: "closed", **options):
    """The connection closes, and the judge is told so, or how."""
    def task(connect, scenario):
        c = connect(scenario, **options)
        c.start()
        scenario.said(text(c.closed.result(PATIENCE)))

    return task


def reconnects(times=1, first=lambda c: None, **options):
    """Echo and stop after so many reconnects."""
    def life(c):
        first(c)
        for _ in range(times):
            c.reopened.get(timeout=PATIENCE)
        c.echo_stop()

    return lives(life, reconnect=True, **options)


def after_hello(c):
    c.called("hello")
    c.echo_stop()


def lost_post(c):
    c.called("go")
    try:
        c.invoke("Echo", "lost").result(1)
    except Exception:  # that it fails is right, and so is that nobody says so
        pass
    c.echo_stop()


def completion_null(c):
    c.send("Got", c.invoke("Five").result(PATIENCE))
    c.echo_stop()


def completion_error(c):
    try:
        c.invoke("Fail").result(PATIENCE)
    except HubError:
        c.send("Got", True)
    c.echo_stop()


def answers_swapped(c):
    """The answer of each call is handed on by whoever brings it."""
    for call in [c.invoke("One"), c.invoke("Two")]:
        threading.Thread(target=lambda call=call: c.send("Got", call.result(PATIENCE)), daemon=True).start()


def send(c):
    c.send("Got", "there")
    c.echo_stop()


def stream(c):
    c.send("Got", c.stream("Count", 3))
    c.echo_stop()


def upload(c):
    c.upload("Sum", [1, 2, 3])
    c.echo_stop()


def client_result(c):
    c.called("go")
    c.echo_stop()


def pending_call(connect, scenario):
    def failing(call):
        try:
            call.result(PATIENCE)
        except TimeoutError:  # it never ends
            pass
        except Exception:
            scenario.said("failed")

    def call(c):
        threading.Thread(target=failing, args=[c.invoke("Slow")], daemon=True).start()

    reconnects(1, call)(connect, scenario)


def stop_in_negotiate(connect, scenario):
    c = connect(scenario)
    threading.Thread(target=c.begin, daemon=True).start()
    time.sleep(0.2)
    c.stop()


# Those that may take long come first.
TASKS = {
    "server-timeout": lives(lambda c: None),
    "handshake-split": lives(echo_stop),
    "message-split": greeted(),
    "websockets": greeted(),
    "events": greeted(**EVENTS),
    "polling": greeted(**POLLING),
    "polling-empty": greeted(**POLLING),
    "skip-negotiation": lives(echo_stop, skip=True),
    "negotiate-version-0": lives(echo_stop),
    "negotiate-version-1": lives(echo_stop),
    "negotiate-error": fails(),
    "negotiate-404": fails(),
    "negotiate-401": fails(token="test-token"),
    "negotiate-old-server": fails(),
    "negotiate-headers": lives(echo_stop),
    "cookie": lives(echo_stop),
    "fallback": lives(echo_stop, transports=("WebSockets", "ServerSentEvents")),
    "messagepack-transport": lives(lambda c: c.stop(), binary=True, transports=("ServerSentEvents", "LongPolling")),
    "polling-first-404": fails(**POLLING),
    "polling-end": closes(**POLLING),
    "polling-500": reconnects(**POLLING),
    "polling-401": closes(token="test-token", **POLLING),
    "post-409": lives(lost_post, **EVENTS),
    "token-websockets": lives(echo_stop, **TOKEN),
    "token-events": lives(echo_stop, **TOKEN, **EVENTS),
    "token-polling": lives(echo_stop, **TOKEN, **POLLING),
    "redirect": lives(echo_stop, **APP_TOKEN),
    "redirect-bare": lives(echo_stop),
    "redirect-no-token": lives(echo_stop, **APP_TOKEN),
    "redirect-polling": lives(echo_stop, **APP_TOKEN, **POLLING),
    "redirect-loop": fails(),
    "redirect-reconnect": reconnects(**APP_TOKEN),
    "handshake-error": fails(reconnect=True),
    "handshake-joined": greeted(),
    "messages-joined": greeted(3),
    "frames": greeted(),
    "event-lines": greeted(**EVENTS),
    "unknown-type": lives(echo_stop),
    "unknown-call": lives(echo_stop),
    "completion-unknown": lives(echo_stop),
    "unknown-members": greeted(),
    "completion-null": lives(completion_null),
    "completion-error": lives(completion_error),
    "answers-swapped": lives(answers_swapped),
    "send": lives(send),
    "stream": lives(stream),
    "stream-cancel": lives(echo_stop, cancel=True),
    "upload": lives(upload),
    "client-result": lives(client_result, results=True),
    "close": closes(reconnect=True),
    "close-error": closes(lambda error: describe(error) if error else "no error", reconnect=True),
    "close-no-reconnect": closes(),
    "close-reconnect": reconnects(),
    "close-frames": reconnects(4),
    "pending-call": pending_call,
    "events-end": reconnects(**EVENTS),
    "keep-alive": lives(after_hello, keep_alive=0.3),
    "server-alive": lives(after_hello, timeout=1),
    "stop-in-negotiate": stop_in_negotiate,
    **dict.fromkeys((
        "stateful", "stateful-acknowledged", "stateful-ack", "stateful-first",
        "stateful-sequence-too-high", "stateful-refused", "stateful-call", "stateful-close-reconnect", "stateful-close",
    ), lives(echo_stop, stateful=True)),
}
