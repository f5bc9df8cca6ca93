import { eq, eqAll, fails, range, Skip, soon } from "./battery.js";

// Invocations, their values and errors, and what the hub knows of its caller.
export function addCalls(lane) {
  const { check, alone } = { check: lane.check.bind(lane), alone: lane.alone.bind(lane) };

  // The property names and the bytes of the two hub protocols: json writes camelCase and base64, messagepack the .NET names and raw bytes.
  const key = (name) => (lane.binary ? name[0].toUpperCase() + name.slice(1) : name);
  const shaped = (o) => Object.fromEntries(Object.entries(o).map(([k, v]) => [key(k), v]));
  const bytes = (b) => (lane.binary ? b : base64(b));
  const plain = (b) => [...(lane.binary ? b : unbase64(b))];

  check("connect", async ({ a }) => {
    const answer = a.negotiations.at(-1);
    if (!answer.availableTransports.some((t) => t.transport === lane.transport)) throw new Error("negotiate does not offer " + lane.transport);
  });
  check("welcome message", async ({ a }) => eq(await a.welcome.promise, await a.id()));
  check("echo", async ({ a }) => { const s = "héllo ☃ 𝄞 \" \\ \u001e \0 end"; eq(await a.ask("Echo", s), s); });
  check("null", async ({ a }) => eq((await a.ask("Echo", null)) ?? null, null));
  check("numbers", async ({ a }) => eq(await a.ask("Add", 2, 40), 42));
  check("objects", async ({ a }) => {
    const p = await a.ask("Mirror", shaped({ x: 1, y: 2, label: "p" }));
    eq(JSON.stringify(p), JSON.stringify(shaped({ x: 2, y: 1, label: "p" })));
  });
  check("nested object", async ({ a }) => {
    const when = new Date("2026-02-28T23:59:58.123Z");
    const t = await a.ask("Same", shaped({
      names: ["a", "ö", ""], values: { half: 0.5, many: 1e300 }, raw: bytes(Uint8Array.of(0, 1, 255)), when,
      large: Number.MAX_SAFE_INTEGER, yes: true, nothing: null,
    }));
    eqAll(t[key("names")], ["a", "ö", ""], "names");
    eqAll(Object.entries(t[key("values")]).flat(), ["half", 0.5, "many", 1e300], "values");
    eqAll(plain(t[key("raw")]), [0, 1, 255], "bytes");
    eq(new Date(t[key("when")]).getTime(), when.getTime(), "time: ");
    eq(Number(t[key("large")]), Number.MAX_SAFE_INTEGER);
    eq(t[key("yes")], true);
    eq(t[key("nothing")] ?? null, null);
  });
  check("bytes", async ({ a }) => eqAll(plain(await a.ask("Backwards", bytes(Uint8Array.from(range(256))))), range(256, (i) => 255 - i), "bytes"));
  check("void", async ({ a }) => { await a.ask("Nothing"); });
  check("hub exception", async ({ a }) => fails(a.ask("Fail"), "told you so"));
  check("hidden exception", async ({ a }) => fails(a.ask("Crash"), "", "secret"));
  check("unknown method", async ({ a }) => fails(a.ask("Nowhere"), "Method does not exist"));
  check("wrong arguments", async ({ a }) => fails(a.ask("Add", "two", 40)));
  check("too few arguments", async ({ a }) => fails(a.ask("Add", 2)));

  check("connection id", async ({ a }) => {
    lane.need("connectionId", "this client does not tell its connection id");
    eq(await a.id(), a.hub.connectionId);
  });
  check("user id", async ({ a }) => eq(await a.ask("MyUser"), "alice"));
  check("user name", async ({ a }) => eq(await a.ask("MyName"), "alice"));
  check("role", async ({ a }) => { eq(await a.ask("InRole", "tester"), true); eq(await a.ask("InRole", "boss"), false); });
  check("claim", async ({ a }) => eq(await a.ask("Claim", "favourite"), "blue"));
  alone("anonymous", () => lane.using({}, async (c) => {
    eq(await c.ask("Authenticated"), false);
    eq((await c.ask("MyUser")) ?? null, null);
  }));
  check("query string", async ({ a }) => eq(await a.ask("Query", "colour"), "red"));
  check("request header", async ({ a }) => {
    lane.need("headers", "this client sends no headers of the caller's");
    if (lane.env.inPage && lane.transport !== "LongPolling") throw new Skip(`a page cannot give a header to ${lane.transport}`);
    eq(await a.ask("Header", "X-Test"), "seen");
  });
  check("path", async ({ a }) => eq(await a.ask("Path"), new URL(lane.url).pathname));

  // Over server-sent events the client's first ping may find the connection gone before the close message was read; then start fails.
  alone("hub refuses in OnConnectedAsync", async () => {
    let c;
    try {
      c = await lane.connect({ query: "refuse=yes" });
    } catch (e) {
      if (lane.transport === "ServerSentEvents" || e.message.includes("not you")) return;
      throw e;
    }
    try {
      const why = await soon(c.closed.promise, "closed");
      if (!why.includes("not you")) throw new Error("closed with: " + why);
    } finally {
      await c.dispose();
    }
  });

  for (const [size, n] of [["1 MB", 1_000_000], ["5 MB", 5_000_000]]) {
    check("big down " + size, async ({ a }) => eq((await a.ask("Big", n)).length, n));
  }
  for (const [size, n] of [["500 kB", 500_000], ["900 kB", 900_000]]) {
    check("big up " + size, async ({ a }) => eq(await a.ask("Length", "q".repeat(n)), n));
  }
  check("big bytes both ways", async ({ a }) => {
    const b = Uint8Array.from(range(500_000, (i) => (i * i * 31 + (i >> 7)) & 255));
    eqAll(plain(await a.ask("Backwards", bytes(b))), b.slice().reverse(), "bytes");
  });
  check("200 invocations at once", async ({ a }) => {
    eqAll(await Promise.all(range(200, (i) => a.ask("Echo", "c" + i))), range(200, (i) => "c" + i), "answers");
  });
}

function base64(bytes) {
  let s = "";
  for (let i = 0; i < bytes.length; i += 8192) s += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(s);
}

function unbase64(s) { return Uint8Array.from(atob(s), (c) => c.charCodeAt(0)); }
