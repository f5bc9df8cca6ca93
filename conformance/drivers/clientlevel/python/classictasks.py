"""What a client is made to do in each scenario of ASP.NET SignalR, as the scenario's page says. A task is given the class of the client
and the scenario, and returns when the client has done its part; what it still does then, or does not, is the judge's to see."""

import threading

from classicclient import HubError
from judge import PATIENCE, describe

FLAVOUR = "legacy"
EVENTS, POLLING, USER = {"serverSentEvents": True}, {"longPolling": True}, {"query": {"user": "1"}}


def lives(life, **options):
    """A connection that starts, life(c), stop."""
    def task(connect, scenario):
        c = connect(scenario, **options)
        c.start()
        life(c)
        c.stop()

    return task


def echo(c):
    c.invoke("Echo", "x")


def greeted(c):
    c.invoke("Got", c.hello())


def greeted_echo(c):
    greeted(c)
    echo(c)


def echo_greeted(c):
    echo(c)
    greeted(c)


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


def closes(text=describe, **options):
    """The connection closes, and the judge is told its error, or what text makes of it."""
    def task(connect, scenario):
        c = connect(scenario, **options)
        c.start()
        echo(c)
        scenario.said(text(c.closed.result(PATIENCE)))

    return task


def no_connect_timeout(connect, scenario):
    c = connect(scenario)
    try:
        c.start()
    except Exception:  # whatever kind a client has for it
        scenario.said("failed")
    else:
        scenario.said("connected")


def error(c):
    try:
        c.invoke("Fail")
    except HubError as e:
        c.invoke("Got", str(e))
    echo(c)


def answers_swapped(c):
    """The answer of each call is handed on by whoever brings it."""
    hands = [threading.Thread(target=lambda call=call: c.invoke("Got", call.result(PATIENCE))) for call in [c.call("One"), c.call("Two")]]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()


def batch(c):
    for answer in [c.call("Got", c.hello()) for _ in range(3)]:
        answer.result(PATIENCE)


def restart(connect, scenario):
    c = connect(scenario)
    for _ in range(2):
        c.start()
        echo(c)
        c.stop()


TASKS = {
    "legacy-websockets": lives(greeted_echo),
    "legacy-events": lives(greeted_echo, **EVENTS),
    "legacy-polling": lives(greeted_echo, **POLLING),
    "legacy-polling-groups": lives(greeted_echo, **POLLING),
    "legacy-polling-blank": lives(greeted_echo, **POLLING),
    "legacy-version-old": fails(),
    "legacy-version-unknown": fails(),
    "legacy-version-15": lives(greeted_echo, protocol_2_1=True),
    "legacy-version-21": lives(greeted_echo, protocol_2_1=True),
    "legacy-negotiate-error": fails(protocol_2_0=True),
    "legacy-core-server": fails(protocol_2_0=True),
    "legacy-no-connect-timeout": no_connect_timeout,
    "legacy-init-late": lives(greeted_echo),
    "legacy-early-message": lives(greeted_echo),
    "legacy-start-500": fails(),
    "legacy-start-wrong": fails(),
    "legacy-fallback": lives(echo),
    "legacy-no-websockets": lives(echo),
    "legacy-query": lives(echo, query={"user": "al ice"}),
    "legacy-error": lives(error),
    "legacy-answers-swapped": lives(answers_swapped),
    "legacy-progress": lives(echo, progress=True),
    "legacy-state": lives(echo, state=True),
    "legacy-batch": lives(batch),
    "legacy-result-in-messages": lives(echo),
    "legacy-disconnect-frame": lives(greeted_echo),
    "legacy-error-frame": closes(protocol_2_0=True),
    "legacy-reconnect": lives(echo_greeted, reconnect=True),
    "legacy-reconnect-close": lives(echo_greeted, reconnect=True),
    "legacy-reconnect-events": lives(echo_greeted, **EVENTS),
    "legacy-reconnect-polling": lives(echo_greeted, **POLLING),
    "legacy-poll-shutdown": lives(echo_greeted, **POLLING),
    "legacy-keep-alive-lost": lives(greeted, reconnect=True),
    "legacy-keep-alive": lives(greeted),
    "legacy-no-keep-alive": lives(greeted),
    "legacy-gives-up": closes(lambda error: "closed", reconnect=True),
    "legacy-restart": restart,
    "legacy-redirect": lives(echo, protocol_2_1=True, **USER),
    "legacy-redirect-no-token": lives(echo, protocol_2_1=True, **USER),
    "legacy-redirect-loop": fails(protocol_2_0=True),
}
