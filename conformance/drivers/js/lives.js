import { eq, eqAll, pause, range, Skip, soon, within } from "./battery.js";

// How connections end, and how they come back.
export function addLives(lane) {
  const alone = lane.alone.bind(lane);
  const polling = lane.transport === "LongPolling";
  const reconnects = () => lane.need("reconnect", "this client does not reconnect by itself");
  const came = async (c) => {
    const id = await c.reconnected.next(20000);
    if (id === null) throw new Error(`no reconnected event; state ${c.hub.state}, reconnecting events ${c.reconnecting}`);
    return id;
  };

  alone("server abort closes", () => lane.using({}, async (c) => {
    await c.hub.send("Abort");
    await soon(c.closed.promise, "closed");
  }));
  alone("backend closes a client", () => lane.using({}, async (c) => {
    const id = await c.id();
    eq((await lane.post("close/" + id)).status, 200);
    await soon(c.closed.promise, "closed");
    await within(10, "gone at the hub", async () => !await lane.isHere(id));
  }));
  alone("too big up closes", () => lane.using({}, async (c) => {
    c.hub.send("Length", "q".repeat(3_000_000)).catch(() => {});
    await soon(c.closed.promise, "closed after 3 MB where 1 MB is allowed");
  }));
  alone("stop", () => lane.using({}, async (c) => {
    const id = await c.id();
    eq(await lane.isHere(id), true, "known at the hub: ");
    await c.hub.stop();
    await within(10, "OnDisconnectedAsync", async () => !await lane.isHere(id));
    eq(await lane.get("ended/" + id), "clean");
    eq(await soon(c.closed.promise, "closed"), "");
  }));
  alone("start again after stop", () => lane.using({}, async (c) => {
    const id = await c.id();
    await c.hub.stop();
    await c.hub.start();
    if (await c.id() === id) throw new Error("same connection id");
  }));
  alone("a cut ends the connection", () => lane.using({ cuttable: true }, async (c) => {
    const id = await c.id();
    await c.net.blackout(polling ? 8000 : 2000);
    await soon(c.closed.promise, "closed at the client");
    await within(polling ? 40 : 10, "OnDisconnectedAsync", async () => !await lane.isHere(id));
  }), 70);

  alone("automatic reconnect", async () => {
    reconnects();
    await lane.using({ query: "user=erin", cuttable: true, auto: true }, async (c) => {
      const id = await c.id();
      await c.tell("Join", "before");
      await c.net.blackout(500);
      const now = await came(c);
      eq(c.reconnecting, 1, "reconnecting events: ");
      eq(await c.id(), now);
      if (now === id) throw new Error("same connection id");
      eq(await c.ask("MyUser"), "erin");
      await c.tell("SendCaller", "again");
      eq(await c.next(), "again");
      await c.tell("SendGroup", "before", "old group");
      eq(await c.next(300), null);
    });
  }, 50);
  alone("close that allows reconnect", async () => {
    reconnects();
    await lane.using({ auto: true }, async (c) => {
      const id = await c.id();
      c.hub.send("Length", "q".repeat(3_000_000)).catch(() => {});
      await came(c);
      if (await c.id() === id) throw new Error("same connection id");
    });
  }, 40);
  alone("close that forbids reconnect", async () => {
    reconnects();
    await lane.using({ auto: true }, async (c) => {
      await c.hub.send("Abort");
      await soon(c.closed.promise, "closed");
      eq(c.reconnecting, 0, "reconnecting events: ");
    });
  });

  if (lane.transport === "WebSockets") {
    const stateful = async (body) => {
      lane.need("stateful", "this client has no stateful reconnect");
      await lane.using({ query: "user=carol", cuttable: true, stateful: true }, async (c) => {
        if (!c.negotiations.at(-1).useStatefulReconnect) throw new Skip("the server did not grant it in negotiate");
        await body(c);
      });
    };
    alone("stateful reconnect", () => stateful(async (c) => {
      const id = await c.id(), n = 400;
      await c.tell("Tick", n, 10);
      const sends = (async () => { for (let i = 0; i < n; i++) { await c.hub.send("Collect", i); await pause(10); } })();
      for (let i = 0; i < 3; i++) {
        await pause(900);
        // A client tries once, straight after a cut, so the next cut waits until it is back.
        await soon(c.ask("Echo", "back"), "the answer after a cut", 15);
        if (await c.net.cut() === 0) throw new Error("nothing to cut");
      }
      await soon(sends, "sending", 20);
      // The client does not count what arrives together with the handshake answer, so one message may come twice after the first cut.
      const want = range(n, (i) => "t" + i), got = [];
      while (got.length <= n) {
        const m = await c.next(got.length >= n ? 300 : 10000);
        if (m === null) break;
        got.push(m);
      }
      const twice = got.findIndex((m, i) => got.indexOf(m) !== i);
      if (twice >= 0) got.splice(twice, 1);
      eqAll(got, want, "messages down");
      eqAll((await soon(c.ask("Collected"), "answer")).sort((x, y) => x - y), range(n), "messages up");
      eq(await c.id(), id, "connection id: ");
      eq(c.reconnecting, 0, "reconnecting events: ");
    }), 60);
    alone("stateful reconnect with large messages", () => stateful(async (c) => {
      // Here too the next cut waits for what the last one interrupted.
      for (let i = 0; i < 30; i++) {
        const up = c.ask("Length", "q".repeat(60_000 + i));
        if (i % 10 === 5) eq(await c.net.cut() > 0, true, "something to cut: ");
        eq(await soon(up, "the answer to 60 kB", 15), 60_000 + i);
        const down = c.ask("Big", 60_000 + i);
        if (i % 10 === 9) eq(await c.net.cut() > 0, true, "something to cut: ");
        eq((await soon(down, "60 kB", 15)).length, 60_000 + i);
      }
      eq(c.reconnecting, 0, "reconnecting events: ");
    }), 60);
  }

  alone("many clients at once", async () => {
    if (lane.env.inPage && lane.transport !== "WebSockets") throw new Skip("a page may hold six HTTP connections a host");
    const opened = await Promise.allSettled(range(50, (i) => lane.connect({ query: "user=crowd" + i })));
    const crowd = opened.filter((o) => o.status === "fulfilled").map((o) => o.value);
    try {
      for (const o of opened) if (o.status === "rejected") throw o.reason;
      const ids = await Promise.all(crowd.map((c) => c.id()));
      eq(new Set(ids).size, crowd.length, "connection ids: ");
      await Promise.all(crowd.map((c) => c.tell("Join", "crowd")));
      await crowd[0].tell("SendGroup", "crowd", "hello crowd");
      for (const c of crowd) eq(await c.next(), "hello crowd");
      await Promise.all(crowd.map((c) => c.dispose()));
      await within(10, "all gone at the hub", async () => {
        const here = new Set((await lane.get("connections")).split("\n"));
        return !ids.some((id) => here.has(id));
      });
    } finally {
      await Promise.all(crowd.map((c) => c.dispose()));
    }
  }, 60);

  alone("idle 40 s", async () => {
    if (!lane.slow) throw new Skip("only with --slow");
    await lane.using({ query: "user=idle" }, async (c) => {
      const id = await c.id();
      await pause(40000);
      eq(c.closed.settled, false, "closed: ");
      eq(await c.id(), id);
      await c.tell("SendCaller", "still here");
      eq(await c.next(), "still here");
    });
  }, 70);
}
