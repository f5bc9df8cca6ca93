"""The judge, `signalrelay conform client`: its scenarios, and its verdicts."""

import json
import queue
import threading
import time
import urllib.request

AT_ONCE = 8  # scenarios
TASK = 20  # seconds that a task may take; what the client does then is still the judge's to see
PATIENCE = 15  # seconds that a task waits for anything, as long as the judge does at most where a client can still be right

_http = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Skip(Exception):
    """Raised by a task that the client has no feature for; its text says which."""


class Scenario:
    """What is asked of the client at one address. In MessagePack it is the same as in JSON."""

    def __init__(self, listed):
        self.name, self.url, self._said = listed["name"], listed["url"], listed["said"]
        self.binary = listed["protocol"] == "messagepack"
        self.task = self.name.removesuffix("-messagepack") if self.binary else self.name

    def said(self, text):
        """Tells the judge what the app was told."""
        _http.open(self._said, text.encode()).close()


def drive(url, flavour, part, tasks, connect, report):
    """Does the scenarios of a flavour whose names contain part, in the order in which tasks has them, and reports what the judge at url
    says of them. One without a task fails. connect is the class of the client, which each task is given."""
    scenarios = [Scenario(s) for s in _get(url, "scenarios") if s["flavour"] == flavour and part in s["name"]]
    order = {name: i for i, name in enumerate(tasks)}
    waiting, raised = queue.Queue(), {}
    for s in sorted(scenarios, key=lambda s: order.get(s.task, -1)):
        waiting.put(s)

    def work():
        while True:
            try:
                scenario = waiting.get_nowait()
            except queue.Empty:
                return
            _run_within(TASK, lambda: tasks[scenario.task](connect, scenario), lambda error: raised.update({scenario.name: error}))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(AT_ONCE)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    for v in _verdicts(url, {s.name for s in scenarios}):
        error = raised.get(v["name"])
        if isinstance(error, Skip):
            report.add("skip", v["name"], str(error))
        elif v["outcome"] == "passed":
            report.add("ok", v["name"])
        else:
            want = f"want {v['want']}, got {v['got']}" if v.get("want") else ""
            cause = describe(error).partition("\n")[0] if error else ""
            report.add("FAIL", v["name"], "; ".join(filter(None, (want, v.get("why"), cause))))


def describe(error):
    """The kind of an error, which for some is all they say, and its text."""
    return f"{type(error).__name__}: {error}"


# The thread of a task that does not end is left behind; the process ends without it.
def _run_within(seconds, task, raised):
    def call():
        try:
            task()
        except Exception as e:
            raised(e)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)


def _verdicts(url, names):
    while True:
        verdicts = [v for v in _get(url, "verdicts")["results"] if v["name"] in names]
        if not any(v.get("why") == "still running" for v in verdicts):
            return verdicts
        time.sleep(0.3)  # the judge has no call that waits


def _get(url, path):
    with _http.open(f"{url.rstrip('/')}/{path}") as answer:
        return json.load(answer)
