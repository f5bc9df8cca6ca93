"""The judge of `signalrelay conform client`: its scenarios, and its verdicts."""

import asyncio
import json
from dataclasses import dataclass
from urllib.request import urlopen

from clients import Client, Skip

AT_ONCE = 8
SECONDS = 20  # that a task may take; what the client does then is still judged


@dataclass(frozen=True)
class Scenario:
    """What a task is given: the client, its hub protocol, where to point it, and where to post what it told its app."""

    client: Client
    pack: bool
    url: str
    said_url: str

    async def said(self, text):
        await asyncio.to_thread(lambda: urlopen(self.said_url, text.encode()).close())


async def run_tasks(base, only, client, tasks, report):
    """Does the tasks of the client's flavour, prints the verdicts and gives the exit status.

    A scenario without a task fails, for the judge asks nothing that the client cannot do.
    """
    scenarios = [s for s in await get(base, "scenarios") if s["flavour"] == client.flavour and only in s["name"]]
    queue, raised = list(reversed(scenarios)), {}

    async def work():
        while queue:
            s = queue.pop()
            try:
                task = tasks[s["name"].removesuffix("-messagepack") if s["protocol"] == "messagepack" else s["name"]]
                await asyncio.wait_for(task(Scenario(client, s["protocol"] == "messagepack", s["url"], s["said"])), SECONDS)
            except Exception as e:  # the verdict is the judge's
                raised[s["name"]] = e

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    names = {s["name"] for s in scenarios}
    while True:
        verdicts = [v for v in (await get(base, "verdicts"))["results"] if v["name"] in names]
        if not any(v.get("why") == "still running" for v in verdicts):
            break
        await asyncio.sleep(0.3)
    for v in verdicts:
        error = raised.get(v["name"])
        if v["outcome"] == "passed":
            report.add("ok", v["name"])
        elif isinstance(error, Skip):
            report.add("skip", v["name"], str(error))
        else:
            want = v.get("want") and f"want {v['want']}, got {v.get('got')}"
            report.add("FAIL", v["name"], "; ".join(filter(None, [want, v.get("why"), error and describe(error)])))
    return report.end()


def describe(error):
    return f"{type(error).__name__} {getattr(error, 'Message', error)}".strip()


async def get(base, path):
    def read():
        with urlopen(f"{base.rstrip('/')}/{path}") as answer:
            return json.load(answer)

    return await asyncio.to_thread(read)
