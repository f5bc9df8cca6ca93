import { eq, eqAll, range, Skip, soon, within } from "./battery.js";

const cannotAsk = "client results are not in this SDK";

// Streams in both directions, and results that clients return.
export function addStreams(lane) {
  const check = lane.check.bind(lane);

  // The hub counts the streams that ended, of all its callers: checks that look at the count keep those of other lanes away.
  // A stream of another battery on the same server may still be taken for the check's own.
  const counted = (name, body, seconds) => check(name, (clients) => lane.env.locked(() => body(clients)), seconds);
  const uploads = () => lane.need("upload", "this client has no upload streams");
  const answered = (text) => { if (text.includes(cannotAsk)) throw new Skip("the app says: " + cannotAsk); return text; };

  counted("stream", async ({ a }) => {
    const s = a.stream("Counter", [50, 0]);
    await soon(s.ended, "the stream's end");
    eqAll(s.items, range(50), "items");
  });
  counted("stream cancel", async ({ a }) => {
    const before = await a.ask("Streams");
    const s = a.stream("Counter", [1_000_000, 5], 5);
    await soon(s.ended, "five items");
    await within(5, "the hub's stream ends", async () => (await a.ask("Streams")) > before);
  });
  check("stream error", async ({ a }) => {
    const s = a.stream("CounterFail", [3]);
    const why = await soon(s.ended.then(() => "no error", (e) => e.message), "the stream's end");
    if (!why.includes("stream broke")) throw new Error("ended with: " + why);
    eqAll(s.items, range(3), "items");
  });
  check("unknown stream", async ({ a }) => {
    const why = await soon(a.stream("NoStream").ended.then(() => null, (e) => e.message), "the stream's end");
    if (why === null) throw new Error("no error");
  });
  check("upload stream", async ({ a }) => eq(await a.ask("Sum", a.upload(range(100, (i) => i + 1))), 5050));
  check("two uploads at once", async ({ a }) => {
    uploads();
    const both = await Promise.all([100, 200].map((n) => a.ask("Sum", a.upload(range(n, (i) => i + 1)))));
    eqAll(both, [5050, 20100], "sums");
  });
  counted("both ways stream", async ({ a }) => {
    uploads();
    const s = a.stream("Double", [a.upload(range(500))]);
    await soon(s.ended, "the stream's end", 20);
    eqAll(s.items, range(500, (i) => 2 * i), "items");
  });
  counted("both ways stream cancel", async ({ a }) => {
    uploads();
    const before = await a.ask("Streams");
    const up = new lane.env.signalR.Subject();
    const s = a.stream("Double", [up], 5);
    for (let i = 0; i < 5; i++) {
      up.next(i);
      await within(5, "item " + i, async () => s.items.length > i);
    }
    await soon(s.ended, "five items");
    await within(5, "the hub's stream ends", async () => (await a.ask("Streams")) > before);
    up.complete();
    eqAll(s.items, range(5, (i) => 2 * i), "items");
    eq(await a.ask("Add", 1, 1), 2);
  });
  // The client sends an item when the one before is sent: on the HTTP transports that is one POST each, a millisecond on a machine
  // with nothing else to do, ten beside a dozen other lanes.
  const many = lane.transport === "WebSockets" ? 5000 : 500;
  check(`order of ${many} up`, async ({ a }) => {
    uploads();
    const n = a.ask("Relay", a.upload(range(many, (i) => "u" + i)));
    eqAll(await a.take(many), range(many, (i) => "u" + i), "messages");
    eq(await n, many);
  }, 60);

  const results = () => lane.need("results", "this client cannot return results");
  check("client result", async ({ a, b }) => { results(); eq(answered(await b.ask("Ask", await a.id(), "why")), "answer to why"); });
  check("client result error", async ({ a, b }) => {
    results();
    const r = answered(await b.ask("Ask", await a.id(), "throw"));
    if (!r.startsWith("error") || !r.includes("client refuses")) throw new Error("got: " + r);
  });
  check("client result of a client that is gone", async ({ b }) => {
    const r = answered(await b.ask("Ask", "nobody-here", "why"));
    if (!r.startsWith("error")) throw new Error("an answer came: " + r);
  });
  check("backend asks a client", async ({ a }) => {
    results();
    eq(answered(await (await lane.post(`ask/${await a.id()}?q=bq`)).text()), "answer to bq");
  });
}
