"""Usage: main.py HUB-URL [only] [--slow] [--list]"""

import argparse
import os
import sys
from importlib.metadata import version

from battery import Battery
from checks import Lane
from clients import Core, Py

parser = argparse.ArgumentParser()
parser.add_argument("url", nargs="?")
parser.add_argument("only", nargs="?", default="")
parser.add_argument("--slow", action="store_true")
parser.add_argument("--list", action="store_true")
args = parser.parse_args()
if not args.url and not args.list:
    parser.error("the hub's URL is missing")

battery = Battery("known-failing.txt")
lanes = []
for make, package, transports in (
    (Core, "signalrcore", ("WebSockets", "ServerSentEvents", "LongPolling")),
    (Py, "pysignalr", ("WebSockets",)),
):
    for transport in transports:
        for binary in (False, True):
            if not (binary and transport == "ServerSentEvents"):  # text only
                lanes.append(Lane(battery, make, f"{package} {version(package)}", transport, binary, args.url or "http://127.0.0.1/", args.slow))
battery.after_failure = lambda: [lane.close() for lane in lanes]
if args.list:
    print("\n".join(name for name, _, _ in battery.checks))
    sys.exit()
status = battery.run(args.only)
sys.stdout.flush()
os._exit(status)  # the clients leave threads behind that would keep the process
