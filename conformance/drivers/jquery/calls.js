import { eq, eqAll, range, Skip, soon } from "../js/battery.js";
import { native } from "./connection.js";
import { aborted } from "./requests.js";

// Starting, invocations, their values and errors, and what the hub knows of its caller.
export function addCalls(lane) {
  const check = lane.check.bind(lane), alone = lane.alone.bind(lane);
  const webSockets = lane.transport === "webSockets" || lane.transport === "auto";
  const severalUsers = () => { if (lane.oneToken) throw new Skip("--query has one token, so there is one user"); };

  check("start", async ({ a }) => eq(a.hub.state, $.signalR.connectionState.connected));
  check("transport", async ({ a }) => eq(a.hub.transport.name, lane.transport === "auto" ? "webSockets" : lane.transport));
  check("connection id", async ({ a }) => eq(await a.ask("MyId"), a.id));
  check("user", async ({ a, b }) => {
    severalUsers();
    eq(await a.ask("MyUser"), "alice");
    eq(await b.ask("MyUser"), "bob");
  });
  alone("anonymous", async () => {
    severalUsers();
    await lane.using({}, async (c) => eq(await c.ask("MyUser"), undefined));
  });
  check("query string", async ({ a }) => {
    if (lane.oneToken) throw new Skip("the query that came with --query's token is not the lane's");
    eq(await a.ask("Query", "colour"), "red");
  });
  check("ping", async ({ a }) => { await native($.signalR.transports._logic.pingServer(a.hub)); });

  check("echo", async ({ a }) => {
    for (const s of ["", "héllo ☃ 𝄞 \" \\ / ' end", "a+b %41&c=d;#?", "<script>alert(1)</script>", "line\r\n\ttab\u2028\u2029\u001e\u007f", "\ud83d\ude00 {0} $1"]) {
      eq(await a.ask("Echo", s), s);
    }
  });
  // A null or void result is left out on the wire (legacy-client-protocol 5.3).
  check("null", async ({ a }) => { eq(await a.ask("Echo", null), undefined); eq(await a.ask("Mirror", null), undefined); });
  check("void", async ({ a }) => eq(await a.ask("Nothing"), undefined));
  check("numbers", async ({ a }) => {
    eq(await a.ask("Add", 2, 40), 42);
    eq(await a.ask("Add", -2147483648, 0), -2147483648);
    for (const n of [0, -1, 0.5, 1e300, Number.MAX_SAFE_INTEGER]) eq(await a.ask("Mirror", n), n);
  });
  check("objects", async ({ a }) => {
    const o = { b: true, list: [1, "two", null, [], {}], "odd key": { Ünï: "ö" }, n: null };
    eq(JSON.stringify(await a.ask("Mirror", o)), JSON.stringify(o));
  });
  check("overloads", async ({ a }) => { eq(await a.ask("Overload", 4), 4); eq(await a.ask("Overload", 4, 5), 9); });
  check("names in another case", async ({ a }) => eq(await a.ask("eCHO", "x"), "x"));

  check("hub exception", async ({ a }) => {
    const e = await refused(a.ask("Fail"));
    eq(e.message, "told you so");
    eq(e.source, "HubException");
    eq(JSON.stringify(e.data), `{"code":42,"reason":"because"}`);
  });
  const generic = (method) => `There was an error invoking Hub method 'chathub.${method}'.`;
  for (const [name, method, ...args] of [
    ["hidden exception", "Crash"], ["unknown method", "Nowhere"], ["too few arguments", "Add", 2], ["wrong arguments", "Add", "two", 40],
  ]) {
    check(name, async ({ a }) => {
      const e = await refused(a.ask(method, ...args));
      eq(e.message, generic(method));
      eq(e.source, "Exception");
      eq(e.data, undefined);
    });
  }
  check("an error leaves the connection alone", async ({ a }) => {
    const { id } = a;
    await refused(a.ask("Crash"));
    eq(await a.ask("MyId"), id);
  });

  check("client state", async ({ a }) => {
    a.chat.state.colour = "blue";
    eq(await a.ask("GetState", "colour"), "blue");
    await a.ask("SetState", "colour", "green");
    eq(a.chat.state.colour, "green");
    await a.ask("SetState", "deep", { list: [1, 2] });
    eq(JSON.stringify(a.chat.state.deep), `{"list":[1,2]}`);
    eq(JSON.stringify(await a.ask("GetState", "deep")), `{"list":[1,2]}`);
    eq(await a.ask("GetState", "none"), undefined);
  });
  check("progress", async ({ a }) => {
    const got = [];
    const call = a.chat.invoke("Progress", 5).progress((n) => got.push(n));
    eq(await native(call), 5);
    if (webSockets) return eqAll(got, range(5, (i) => i + 1), "progress before the result");
    // The result comes in another response, which may overtake progress; the client drops what comes after it (field-notes 7).
    eqAll(got, range(got.length, (i) => i + 1), "progress");
    if (got.length === 0) throw new Error("no progress");
  });

  check("two hubs on one connection", async ({ a, b }) => {
    eq(await native(a.other.invoke("Ping")), "pong");
    await native(a.other.invoke("SendAll", "from the other hub" + lane.mark));
    eq(await a.otherMessages.next(), "from the other hub");
    await a.tell("SendCaller", "from the first hub");
    eq(await a.next(), "from the first hub");
    eq(a.otherMessages.size, 0, "messages for the other hub: ");
    eq(await b.next(300), null, "message at a client without that hub: ");
  });
  check("50 invocations at once", async ({ a }) => {
    eqAll(await Promise.all(range(50, (i) => a.ask("Echo", "c" + i))), range(50, (i) => "c" + i), "answers");
  });
  check("a slow call does not hold up others", async ({ a }) => {
    const order = [];
    await Promise.all([a.ask("Slow", 1000).then((r) => order.push(r)), a.ask("Echo", "quick").then((r) => order.push(r))]);
    eqAll(order, ["quick", "slept 1000"], "answers");
  });
  check("50 KB up", async ({ a }) => eq(await a.ask("Length", "q".repeat(50_000)), 50_000));
  check("1 MB down", async ({ a }) => eq((await a.ask("Big", 1_000_000)).length, 1_000_000));

  alone("generated proxy script", async () => {
    if (lane.oneToken) throw new Skip("--query's token leads to a service, which has no script");
    await new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement("script"), { src: lane.script, onload: resolve, onerror: () => reject(new Error("no script at " + lane.script)) });
      document.head.append(script);
    });
    const { url, query } = await driver("entry", lane.transport, "user=alice", lane.transport === "foreverFrame" ? 0 : null);
    const { hub, chatHub, otherHub } = $.connection;
    const message = new Promise((resolve) => { chatHub.client.message = (m) => { if (m === "to the proxy" + lane.mark) resolve(); }; });
    Object.assign(hub, { url, qs: query });
    await soon(native(hub.start(lane.transport === "auto" ? {} : { transport: lane.transport })), "connected");
    try {
      eq(await native(chatHub.server.echo("by proxy")), "by proxy");
      eq(await native(chatHub.server.add(20, 22)), 42);
      eq(await native(otherHub.server.ping()), "pong");
      await native(chatHub.server.sendCaller("to the proxy" + lane.mark));
      await soon(message, "the message");
    } finally {
      hub.stop();
      await aborted();
    }
  });
  alone("start again after stop", async () => {
    await lane.using({ query: "user=alice" }, async (c) => {
      const { id } = c;
      await c.stop();
      eq(c.events.disconnected, 1, "disconnected events: ");
      eq(c.hub.state, $.signalR.connectionState.disconnected);
      await c.start();
      if (c.id === id) throw new Error("same connection id");
      eq(await c.ask("MyId"), c.id);
      await c.tell("SendCaller", "again");
      eq(await c.next(), "again");
    });
  });
  alone("a call after stop fails", async () => {
    await lane.using({}, async (c) => {
      await c.stop();
      let error = "";
      try { await c.ask("Echo", "x"); } catch (e) { error = e.message; }
      if (!error.includes("Connection must be started")) throw new Error("the error's text is: " + error);
    });
  });
}

// refused gives the error of a call that has to fail.
async function refused(call) {
  let result;
  try { result = await call; } catch (e) { return e; }
  throw new Error("no error, but " + JSON.stringify(result));
}
