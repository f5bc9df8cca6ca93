import { eq, eqAll, range } from "./battery.js";

// How long the absence of a message is watched for.
const silence = 300;

// Messages from hubs and from a back end to all, to clients, users and groups.
export function addSends(lane) {
  const check = lane.check.bind(lane);

  // sends wants message to come to the clients named in to, and to no other.
  async function sends(clients, message, to, send) {
    await send();
    for (const name of to) eq(await clients[name].next(), message, `message at ${name}: `);
    const others = Object.keys(clients).filter((name) => !to.includes(name));
    await Promise.all(others.map(async (name) => eq(await clients[name].next(silence), null, `message at ${name}: `)));
  }

  const targets = [
    ["send all", "abd", (c, m) => c.a.tell("SendAll", m)],
    ["send others", "bd", (c, m) => c.a.tell("SendOthers", m)],
    ["send caller", "a", (c, m) => c.a.tell("SendCaller", m)],
    ["send client", "b", async (c, m) => c.a.tell("SendClient", await c.b.id(), m)],
    ["send clients", "ad", async (c, m) => c.a.tell("SendClients", [await c.a.id(), await c.d.id()], m)],
    ["send all except", "ad", async (c, m) => c.a.tell("SendAllExcept", [await c.b.id()], m)],
    ["send user", "bd", (c, m) => c.a.tell("SendUser", "bob", m)],
    ["send users", "abd", (c, m) => c.a.tell("SendUsers", ["alice", "bob"], m)],
  ];
  for (const [name, to, send] of targets) check(name, (c) => sends(c, "to " + name, [...to], () => send(c, "to " + name)));

  check("group", async (c) => {
    const { a, b, d } = c;
    await a.tell("Join", "g");
    await b.tell("Join", "g");
    await sends(c, "g1", ["a", "b"], () => d.tell("SendGroup", "g", "g1"));
    await sends(c, "g2", ["b"], () => a.tell("SendOthersInGroup", "g", "g2"));
    await sends(c, "g3", ["a"], async () => a.tell("SendGroupExcept", "g", [await b.id()], "g3"));
    await b.tell("Leave", "g");
    await sends(c, "g4", ["a"], () => a.tell("SendGroup", "g", "g4"));
    await a.tell("JoinOther", await d.id(), "h");
    await sends(c, "g5", ["a", "d"], () => a.tell("SendGroups", ["g", "h"], "g5"));
    await a.tell("Leave", "g");
  });
  check("odd group names", async (c) => {
    for (const name of ["with space", "ünï/cödé?&=#", "UPPER", "n".repeat(500)]) {
      await c.a.tell("Join", name);
      await sends(c, "joined " + name, ["a"], () => c.b.tell("SendGroup", name, "joined " + name));
      await c.a.tell("Leave", name);
      await sends(c, "left", [], () => c.b.tell("SendGroup", name, "left"));
    }
    await c.a.tell("Join", "UPPER");
    await sends(c, "other case", [], () => c.b.tell("SendGroup", "upper", "other case"));
    await c.a.tell("Leave", "UPPER");
  });
  check("joined at once", async ({ a }) => {
    for (let i = 0; i < 20; i++) {
      await a.tell("Join", "quick" + i);
      await a.tell("SendGroup", "quick" + i, "q" + i);
      eq(await a.next(), "q" + i);
    }
  });
  check("order of 5000 down", async ({ a }) => {
    const sent = a.tell("Burst", 5000);
    eqAll(await a.take(5000), range(5000, (i) => "b" + i), "messages");
    await sent;
  }, 60);

  check("backend", async (c) => {
    const id = await c.a.id();
    await sends(c, "x1", ["a", "b", "d"], () => lane.post("all?m=x1"));
    await sends(c, "x2", ["a"], () => lane.post("user/alice?m=x2"));
    await sends(c, "x3", ["a"], () => lane.post(`client/${id}?m=x3`));
    await lane.post(`join/${id}/bg`);
    await sends(c, "x4", ["a"], () => lane.post("group/bg?m=x4"));
    await lane.post(`leave/${id}/bg`);
    await sends(c, "x5", [], () => lane.post("group/bg?m=x5"));
  });
}
