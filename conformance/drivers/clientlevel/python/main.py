"""Usage: main.py CLIENT URL [NAME-PART]: CLIENT, a NAME-VERSION, in the scenarios of the judge at URL."""

import os
import sys
import threading
from importlib import import_module

from pathlib import Path

from judge import drive

sys.path.append(str(Path(__file__).resolve().parent.parent))
from report import Report

# The modules with the class and with the tasks of each client, of which one is installed beside this Python.
MODULES = {
    "signalrcore": ("signalrcoreclient", "coretasks"),
    "pysignalr": ("pysignalrclient", "coretasks"),
    "signalr_client_threads": ("classicclient", "classictasks"),
    "signalr_unified_client": ("classicclient", "classictasks"),
}

# What ends a thread of a client's is the judge's to see.
threading.excepthook = lambda args: None

client, url, part = sys.argv[1], sys.argv[2], "".join(sys.argv[3:])
connection, asked = map(import_module, MODULES[client.rpartition("-")[0]])
report = Report(client, Path("known-failing.txt"))
drive(url, asked.FLAVOUR, part, asked.TASKS, connection.Client, report)
status = report.end()
os._exit(status)  # the clients leave threads behind that would keep the process
