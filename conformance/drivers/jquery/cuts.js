import { eq, eqAll, range, soon } from "../js/battery.js";

// How a client comes back after its network was cut. Who sends meanwhile has a webSocket that is not.
export function addCuts(lane) {
  const slow = lane.transport === "foreverFrame";
  // Chromium raises no event when a forever frame's connection is reset: the client misses keep-alives for 20 s first (field-notes 9).
  const back = async (c) => {
    if (await c.reconnected.next(slow ? 40000 : 20000) === null) {
      throw new Error(`no reconnected event; state ${c.hub.state}, events ${JSON.stringify(c.events)}`);
    }
  };
  // A cut that hits no poll, or a POST that Chromium by itself sends again, would go unnoticed if the network were back at once.
  const cut = (c) => driver("blackout", c.net, 1000);

  // away wants what was sent in each way while the client was away to arrive once and in order, and its group to be kept.
  const away = (ms) => async () => {
    const c = await lane.connect(await lane.ownNet({ query: "user=carol" })), other = await lane.connect({ transport: "webSockets" });
    const { id } = c, group = "kept" + lane.mark;
    await c.ask("Join", group);
    // The groups token may come after the answer (field-notes 6), but not after a message to the group.
    await other.tell("SendGroup", group, "joined");
    eq(await c.next(), "joined");

    const dark = driver("blackout", c.net, ms);
    const ways = {
      all: (m) => other.tell("SendAll", m),
      client: (m) => other.tell("SendClient", id, m),
      group: (m) => other.tell("SendGroup", group, m),
      backend: (m) => lane.post("all?m=" + m),
    };
    const n = 10;
    await Promise.all(Object.entries(ways).map(async ([name, send]) => { for (let i = 0; i < n; i++) await send(name + i); }));
    await dark;
    await back(c);
    const got = await c.take(4 * n);
    for (const name of Object.keys(ways)) eqAll(got.filter((m) => m.startsWith(name)), range(n, (i) => name + i), "messages to " + name);

    eq(c.id, id, "connection id: ");
    eq(await c.ask("MyId"), id, "connection id at the hub: ");
    await other.tell("SendGroup", group, "still in the group");
    eq(await c.next(), "still in the group");
    eq(await c.next(300), null, "one message more: ");
    eq(c.events.disconnected, 0, "disconnected events: ");
    await Promise.all([c.stop(), other.stop()]);
  };
  lane.alone("reconnect after a cut", away(1500), slow ? 60 : 30);
  if (!slow) lane.alone("reconnect after several attempts", away(6000), 40);

  lane.alone("three cuts while 200 messages flow", async () => {
    const c = await lane.connect(await lane.ownNet({ query: "user=carol" })), other = await lane.connect({ transport: "webSockets" });
    const { id } = c;
    const flow = async (from, to) => {
      for (let i = from; i < to; i++) await (i % 2 ? other.tell("SendClient", id, "hub" + i) : lane.post(`client/${id}?m=backend${i}`));
    };
    const got = [];
    for (let i = 0; i < 150; i += 50) {
      const sent = flow(i, i + 50);
      got.push(...await c.take(10));
      await cut(c);
      await back(c);
      await sent;
    }
    await flow(150, 200);
    got.push(...await c.take(200 - got.length));
    eq(await c.next(300), null, "one message more: ");
    for (const [way, first] of [["backend", 0], ["hub", 1]]) {
      eqAll(got.filter((m) => m.startsWith(way)), range(100, (i) => way + (2 * i + first)), "messages from the " + way);
    }
    eq(c.id, id, "connection id: ");
    await Promise.all([c.stop(), other.stop()]);
  }, slow ? 120 : 90);

  if (lane.transport === "webSockets") {
    lane.alone("a pending call fails at a cut", async () => {
      const c = await lane.connect(await lane.ownNet({ query: "user=carol" }));
      const call = c.ask("Slow", 20000).then(() => { throw new Error("no error"); }, (e) => e.message);
      eq(await c.ask("Echo", "sent before"), "sent before");
      await cut(c);
      const message = await soon(call, "the call's error");
      if (!message.includes("started reconnecting before invocation result was received")) throw new Error("the error's text is: " + message);
      await back(c);
      eq(await c.ask("Echo", "after"), "after");
      await c.stop();
    });
  }
}
