"""Usage: main.py CLIENT URL [NAME-PART], or main.py --list"""

import argparse
import asyncio
import os
import sys
from importlib import import_module
from pathlib import Path

from clients import CLIENTS
from judge import run_tasks

sys.path.append(str(Path(__file__).resolve().parent.parent))
from report import Report


def main():
    if sys.argv[1:] == ["--list"]:
        print("\n".join(CLIENTS))
        return 0
    parser = argparse.ArgumentParser(usage="run CLIENT URL [NAME-PART], or run --list")
    parser.add_argument("client", metavar="CLIENT", choices=CLIENTS)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("only", metavar="NAME-PART", nargs="?", default="")
    args = parser.parse_args()
    client = CLIENTS[args.client]
    start_runtime(Path(os.environ["SIGNALRELAY_PEERS"]), client.folder)
    tasks = import_module(client.flavour + "tasks").tasks
    report = Report(args.client, Path(__file__).with_name("known-failing.txt"))
    return asyncio.run(run_tasks(args.url, args.only, client, tasks, report))


def start_runtime(peers, folder):
    """Starts .NET with what is in the folder, before anything is imported from it."""
    import pythonnet
    from clr_loader import get_coreclr

    # As if the program in the folder were started: its list of dependencies decides which assemblies are found.
    pythonnet.load(get_coreclr(entry_dll=peers / folder / "dotnetpeer.dll", dotnet_root=peers / "runtime"))

    from System.Threading import ThreadPool

    # Some threads wait for Python's lock at times, and the clients' timers must not wait with them.
    ThreadPool.SetMinThreads(32, 32)


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    # Connections that the scenarios left open may call Python from their threads, which an orderly end of it does not bear.
    os._exit(status)
