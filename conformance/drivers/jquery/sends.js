import { eq, eqAll, range, Skip } from "../js/battery.js";

// How long the absence of a message is watched for.
const silence = 300;

// Messages from hubs and from a back end to all, to clients, users and groups.
export function addSends(lane) {
  // sends wants message to come to the clients named in to, and to no other.
  async function sends(clients, message, to, send) {
    await send();
    for (const name of to) eq(await clients[name].next(), message, `message at ${name}: `);
    const others = Object.keys(clients).filter((name) => !to.includes(name));
    await Promise.all(others.map(async (name) => eq(await clients[name].next(silence), null, `message at ${name}: `)));
  }

  const toUsers = new Set(["user", "users"]);
  for (const [name, to, send] of [
    ["all", "abd", (c, m) => c.a.tell("SendAll", m)],
    ["others", "bd", (c, m) => c.a.tell("SendOthers", m)],
    ["caller", "a", (c, m) => c.a.tell("SendCaller", m)],
    ["client", "b", (c, m) => c.a.tell("SendClient", c.b.id, m)],
    ["clients", "ad", (c, m) => c.a.tell("SendClients", [c.a.id, c.d.id], m)],
    ["all except", "ad", (c, m) => c.a.tell("SendAllExcept", [c.b.id], m)],
    ["user", "bd", (c, m) => c.a.tell("SendUser", "bob", m)],
    ["users", "abd", (c, m) => c.a.tell("SendUsers", ["alice", "bob"], m)],
  ]) {
    lane.check("send " + name, async (c) => {
      if (lane.oneToken && toUsers.has(name)) throw new Skip("--query has one token, so there is one user");
      await sends(c, "to " + name, [...to], () => send(c, "to " + name));
    });
  }

  lane.check("group", async (c) => {
    const { a, b, d } = c;
    // Groups are the whole application's, so they carry the mark too.
    const g = "g" + lane.mark, h = "h" + lane.mark;
    await a.ask("Join", g);
    await b.ask("Join", g);
    await sends(c, "g1", ["a", "b"], () => d.tell("SendGroup", g, "g1"));
    await sends(c, "g2", ["b"], () => a.tell("SendOthersInGroup", g, "g2"));
    await sends(c, "g3", ["a"], () => a.tell("SendGroupExcept", g, [b.id], "g3"));
    await b.ask("Leave", g);
    await sends(c, "g4", ["a"], () => a.tell("SendGroup", g, "g4"));
    await a.ask("JoinOther", d.id, h);
    await sends(c, "g5", ["a", "d"], () => a.tell("SendGroups", [g, h], "g5"));
    await a.ask("Leave", g);
    await sends(c, "g6", [], () => a.tell("SendGroup", g, "g6"));
  });
  lane.check("odd group names", async (c) => {
    for (const name of ["with space", "ünï/cödé?&=#", "a,b|c\\d", "dot.ted", "n".repeat(200)]) {
      const g = name + lane.mark;
      await c.a.ask("Join", g);
      await sends(c, "joined " + name, ["a"], () => c.b.tell("SendGroup", g, "joined " + name));
      await c.a.ask("Leave", g);
      await sends(c, "left", [], () => c.b.tell("SendGroup", g, "left"));
    }
    await c.a.ask("Join", "UPPER" + lane.mark);
    await sends(c, "other case", [], () => c.b.tell("SendGroup", "upper" + lane.mark, "other case"));
    await c.a.ask("Leave", "UPPER" + lane.mark);
  });
  lane.check("joined at once", async ({ a }) => {
    for (let i = 0; i < 10; i++) {
      const g = "quick" + i + lane.mark;
      await a.ask("Join", g);
      await a.tell("SendGroup", g, "q" + i);
      eq(await a.next(), "q" + i);
      await a.ask("Leave", g);
    }
  });
  // To a group: 200 to all, from many lanes at once, would push out what the server keeps of them for a client that is away; Microsoft's
  // keeps about 1000 (legacy-client-protocol 8.2).
  lane.check("order of 200", async ({ a, b, d }) => {
    const sender = await lane.connect({ transport: "webSockets" }), group = "order" + lane.mark;
    for (const c of [a, b, d]) await c.ask("Join", group);
    for (let i = 0; i < 200; i++) await sender.tell("SendGroup", group, "o" + i);
    for (const c of [a, b, d]) eqAll(await c.take(200), range(200, (i) => "o" + i), "messages");
    for (const c of [a, b, d]) await c.ask("Leave", group);
    await sender.stop();
  }, 60);
  lane.check("odd characters down", async ({ a }) => {
    for (const m of ["</script><b>&amp;", "\" \\ ' \u2028 \u2029 ☃ 𝄞", "a\r\ndata: b\n\n"]) {
      await a.tell("SendCaller", m);
      eq(await a.next(), m);
    }
  });

  lane.check("backend", async (c) => {
    const { id } = c.a, group = "bg" + lane.mark.slice(1);
    await sends(c, "x1", ["a", "b", "d"], () => lane.post("all?m=x1"));
    await sends(c, "x2", ["a"], () => lane.post(`client/${id}?m=x2`));
    await lane.post(`join/${id}/${group}`);
    await sends(c, "x3", ["a"], () => lane.post(`group/${group}?m=x3`));
    await lane.post(`leave/${id}/${group}`);
    await sends(c, "x4", [], () => lane.post(`group/${group}?m=x4`));
    if (!lane.oneToken) await sends(c, "x5", ["a"], () => lane.post("user/alice?m=x5"));
  });
}
