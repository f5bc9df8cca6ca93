"""The checks of one client, transport and hub protocol: a lane."""

import json
import time
import urllib.request
from urllib.parse import quote, urljoin, urlsplit

from battery import MARK, Skip, eq, within
from clients import HubError

SILENCE = 0.3  # seconds for which the absence of a message is watched
CANNOT_ASK = "client results are not in this SDK"


class Lane:
    redirects = None  # whether the app's negotiate leads to a service; asked once

    def __init__(self, battery, make, name, transport, binary, url, slow):
        self.battery, self.make, self.url, self.slow = battery, make, url, slow
        self.transport, self.binary = transport, binary
        self.prefix = f"{name} {transport}/{'messagepack' if binary else 'json'} "
        self.clients = None
        if transport == "LongPolling" and binary:
            self.cannot("everything", "this client reads polls as text, whatever the hub protocol")
            return
        self.calls()
        if transport == "LongPolling":
            self.cannot("messages, streams and ends", "this client takes one message of a poll's answer, and the others after later polls")
            return
        self.sends()
        self.streams()
        self.lives()

    def cannot(self, name, why):
        def skip():
            raise Skip(why)

        self.battery.add(self.prefix + name, skip, 1)

    # After a redirect signalrcore does not negotiate again: it has no connection id for the service, and drops its headers.
    def redirected(self):
        if Lane.redirects is None:
            negotiate = urlsplit(self.url)._replace(path=urlsplit(self.url).path + "/negotiate").geturl()
            with urllib.request.urlopen(urllib.request.Request(negotiate, method="POST")) as answer:
                Lane.redirects = "url" in json.load(answer)
        return Lane.redirects and not self.make.negotiates_again

    def connect(self, query="", cuttable=False):
        if self.transport != "WebSockets" and self.redirected():
            raise Skip("after a redirect this client does not negotiate with the service, which only WebSockets can do without")
        return self.make(self.url, self, query, cuttable)

    def check(self, name, body, seconds=60):
        """Adds a check of three clients that live from check to check: a is alice, b and d are bob."""
        self.battery.add(self.prefix + name, lambda: body(*self.opened()), seconds)

    def alone(self, name, body, query="", cuttable=False, seconds=60):
        """Adds a check with a client of its own."""
        def run():
            c = self.connect(query, cuttable)
            try:
                body(c)
            finally:
                c.dispose()

        self.battery.add(self.prefix + name, run, seconds)

    def opened(self):
        if self.clients is None:
            self.clients = [self.connect(q) for q in ("user=alice&colour=red", "user=bob", "user=bob")]
        return self.clients

    def close(self):
        clients, self.clients = self.clients or [], None
        for c in clients:
            c.dispose()

    def request(self, method, path):
        path = path + (quote(MARK) if "?m=" in path else "")
        with urllib.request.urlopen(urllib.request.Request(urljoin(self.url, "/backend/" + path), method=method)) as answer:
            return answer.read().decode()

    def is_here(self, client_id):
        return client_id in self.request("GET", "connections").split("\n")

    def calls(self):
        def point(x, y, label):
            return {k.upper() if self.binary and len(k) == 1 else k: v for k, v in (("x", x), ("y", y), ("Label" if self.binary else "label", label))}

        def fails(client, method, args, text="", without=None):
            try:
                client.ask(method, *args)
            except HubError as e:
                if text not in str(e) or (without and without in str(e)):
                    raise AssertionError(f"the error's text is: {e}") from e
                return
            raise AssertionError("no error")

        def welcome(a, b, d):
            if self.transport == "LongPolling":
                a.ask("Nothing")  # see Core.ask: this brings the message, which came with the handshake's answer
            first = a.welcomes.get(timeout=10)
            a.welcomes.put(first)
            eq(a.id(), first)

        def header(a, b, d):
            if self.redirected():
                raise Skip("after a redirect this client drops its headers")
            eq(a.ask("Header", "X-Test"), "seen")

        odd = "héllo ☃ 𝄞 \" \\ \0 end"
        self.check("welcome message", welcome)
        self.check("echo", lambda a, b, d: eq(a.ask("Echo", odd), odd))
        self.check("record separator", lambda a, b, d: eq(a.ask("Echo", "one\u001etwo"), "one\u001etwo"))
        self.check("null", lambda a, b, d: eq(a.ask("Echo", None), None))
        self.check("numbers", lambda a, b, d: eq(a.ask("Add", 2, 40), 42))
        self.check("objects", lambda a, b, d: eq(a.ask("Mirror", point(1, 2, "p")), point(2, 1, "p")))
        self.check("void", lambda a, b, d: a.ask("Nothing"))
        self.check("hub exception", lambda a, b, d: fails(a, "Fail", [], "told you so"))
        self.check("hidden exception", lambda a, b, d: fails(a, "Crash", [], without="secret"))
        self.check("unknown method", lambda a, b, d: fails(a, "Nowhere", [], "Method does not exist"))
        self.check("wrong arguments", lambda a, b, d: fails(a, "Add", ["two", 40]))
        self.check("user id", lambda a, b, d: eq(a.ask("MyUser"), "alice"))
        self.check("claim", lambda a, b, d: eq(a.ask("Claim", "favourite"), "blue"))
        self.check("query string", lambda a, b, d: eq(a.ask("Query", "colour"), "red"))
        self.check("request header", header)
        self.check("path", lambda a, b, d: eq(a.ask("Path"), urlsplit(self.url).path))
        self.check("big down 1 MB", lambda a, b, d: eq(len(a.ask("Big", 1_000_000)), 1_000_000))
        self.check("big up 500 kB", lambda a, b, d: eq(a.ask("Length", "q" * 500_000), 500_000))

        def at_once(a, b, d):
            futures = [a.call("Echo", [f"c{i}"]) for i in range(200)]
            eq([f.result(20) for f in futures], [f"c{i}" for i in range(200)])

        if self.transport != "LongPolling":
            self.check("200 invocations at once", at_once)

    def sent(self, message, to):
        """Wants message to come to these clients, and to no other."""
        for c in to:
            eq(c.next(), message)
        for c in self.clients:
            if c not in to:
                eq(c.next(SILENCE), None, "a message for others: ")

    def sends(self):
        def target(name, to, send):
            def body(*clients):
                send(*clients)
                self.sent("to " + name, [c for c, n in zip(clients, "abd") if n in to])

            self.check(name, body)

        target("send all", "abd", lambda a, b, d: a.tell("SendAll", "to send all"))
        target("send others", "bd", lambda a, b, d: a.tell("SendOthers", "to send others"))
        target("send caller", "a", lambda a, b, d: a.tell("SendCaller", "to send caller"))
        target("send client", "b", lambda a, b, d: a.tell("SendClient", b.id(), "to send client"))
        target("send clients", "ad", lambda a, b, d: a.tell("SendClients", [a.id(), d.id()], "to send clients"))
        target("send all except", "ad", lambda a, b, d: a.tell("SendAllExcept", [b.id()], "to send all except"))
        target("send user", "bd", lambda a, b, d: a.tell("SendUser", "bob", "to send user"))
        target("send users", "abd", lambda a, b, d: a.tell("SendUsers", ["alice", "bob"], "to send users"))

        def group(a, b, d):
            for name in ("g", "ünï/cödé?&=# with space", "n" * 500):
                a.tell("Join", name)
                b.tell("Join", name)
                d.tell("SendGroup", name, "g1")
                self.sent("g1", [a, b])
                a.tell("SendOthersInGroup", name, "g2")
                self.sent("g2", [b])
                b.tell("Leave", name)
                d.tell("SendGroupExcept", name, [d.id()], "g3")
                self.sent("g3", [a])
                a.tell("Leave", name)

        self.check("groups", group)

        def order(a, b, d):
            burst = a.call("Burst", [2000])
            for i in range(2000):
                eq(a.next(), f"b{i}")
            burst.result(10)

        self.check("order of 2000 down", order)

        def backend(a, b, d):
            me = a.id()
            for path, to in (("all", [a, b, d]), ("user/alice", [a]), (f"client/{me}", [a])):
                self.request("POST", path + "?m=x1")
                self.sent("x1", to)
            self.request("POST", f"join/{me}/bg")
            self.request("POST", "group/bg?m=x2")
            self.sent("x2", [a])
            self.request("POST", f"leave/{me}/bg")

        self.check("backend", backend)

    def streams(self):
        def down(a, b, d):
            items, ended = a.stream("Counter", [50, 0])
            ended.result(10)
            eq(items, list(range(50)))

        def broken(a, b, d):
            items, ended = a.stream("CounterFail", [3])
            why = str(ended.exception(10))
            eq("stream broke" in why, True, f"ended with {why}: ")
            eq(items, [0, 1, 2])

        def up(a, b, d):
            a.upload("Relay", [f"u{i}" for i in range(200)])
            for i in range(200):
                eq(a.next(), f"u{i}")

        self.check("stream", down)
        self.check("stream error", broken)
        self.check("upload stream", up)

        def result(question, test):
            def body(a, b, d):
                if not a.can_return:
                    raise Skip("this client cannot return results")
                answer = b.ask("Ask", a.id(), question)
                if CANNOT_ASK in answer:
                    raise Skip("the app says: " + CANNOT_ASK)
                eq(test(answer), True, f"answer {answer}: ")

            return body

        self.check("client result", result("why", lambda r: r == "answer to why"))
        self.check("client result error", result("throw", lambda r: r.startswith("error") and "client refuses" in r))

    def lives(self):
        slow_end = 25  # signalrcore waits up to 15 s before it closes

        def stop(c):
            me = c.id()
            eq(self.is_here(me), True, "known at the hub: ")
            c.stop()
            within(slow_end, "OnDisconnectedAsync", lambda: not self.is_here(me))

        def aborted(c):
            me = c.id()
            c.call("Abort", [])
            c.closes.get(timeout=15)
            within(10, "gone at the hub", lambda: not self.is_here(me))

        def back(c):
            me = c.id()
            c.tell("Join", "before")
            c.net.cut()  # pysignalr ends for good when its negotiate is reset, so the network is back at once
            c.opens.get(timeout=25)
            if c.id() == me:
                raise AssertionError("same connection id")
            eq(c.ask("MyUser"), "erin")
            c.tell("SendCaller", "again")
            eq(c.next(), "again")
            c.tell("SendGroup", "before", "old group")
            eq(c.next(SILENCE), None)

        def idle(c):
            if not self.slow:
                raise Skip("only with --slow")
            me = c.id()
            time.sleep(40)
            eq(c.id(), me)

        self.alone("anonymous", lambda c: eq(c.ask("Authenticated"), False))
        self.alone("stop", stop)
        self.alone("server abort closes", aborted)
        self.alone("automatic reconnect", back, query="user=erin", cuttable=True)
        self.alone("idle 40 s", idle, seconds=90)
