// What an ASP.NET Core SignalR client is made to do in each scenario, as its page says. A task is given the scenario, and returns when the
// client has done its part; what it still does then, or does not, is the judge's to see.

// taskName names the task of a scenario, which is the same in both hub protocols.
export const taskName = (scenario) => scenario.replace(/-messagepack$/, "");

// coreTask gives the task for every scenario, with a client: the library, and its MessagePack package.
export function coreTask(signalR, msgpack) {
  const { WebSockets, ServerSentEvents, LongPolling } = signalR.HttpTransportType;
  const echo = (c) => c.invoke("Echo", "x");
  const echoStop = async (c) => { await c.send("Got", await echo(c)); await c.stop(); };

  // connection builds a client. Options: token, reconnect, stateful, pack, skip, transport, timeout, keepAlive.
  function connection({ protocol, url }, o = {}) {
    const b = new signalR.HubConnectionBuilder().configureLogging(signalR.LogLevel.None).withUrl(url, {
      transport: o.transport ?? WebSockets | ServerSentEvents | LongPolling,
      skipNegotiation: o.skip ?? false,
      ...(o.token && { accessTokenFactory: () => o.token }),
    });
    if (o.pack || protocol === "messagepack") b.withHubProtocol(new msgpack.MessagePackHubProtocol());
    if (o.reconnect) b.withAutomaticReconnect?.([0, 0, 0, 0, 0, 0]); // a client without will not reconnect after a Close either
    if (o.stateful) b.withStatefulReconnect();
    const c = b.build();
    if (o.timeout) c.serverTimeoutInMilliseconds = o.timeout;
    if (o.keepAlive) c.keepAliveIntervalInMilliseconds = o.keepAlive;
    return c;
  }

  // said posts what the app was told to the judge.
  const said = ({ said }, text) => fetch(said, { method: "POST", body: text });

  // A connection that starts, and then life(c).
  const lives = (o, life) => async (s) => {
    const c = connection(s, o);
    await c.start();
    await life(c);
  };

  // A connection that answers each hello with Got, and life besides.
  const answers = (o, life = () => {}) => async (s) => {
    const c = connection(s, o);
    c.on("hello", (x) => c.send("Got", x));
    await c.start();
    await life(c);
  };

  // The same for tasks that begin when hello is called.
  const greeted = (o = {}) => async (s) => {
    const c = connection(s, o);
    const done = new Promise((resolve, reject) => c.on("hello", (x) => c.send("Got", x).then(() => echoStop(c)).then(resolve, reject)));
    await c.start();
    await done;
  };

  // Start fails, and the judge is told how. What 1.1 fails with may be a mere string.
  const fails = (o) => async (s) => {
    const c = connection(s, o);
    const error = await c.start().then(() => null, (e) => e.message ?? e);
    if (error === null) throw new Error("start did not fail");
    await said(s, error);
  };

  // The connection closes, and the judge is told so, or how.
  const closes = (o, text = () => "closed") => async (s) => {
    const c = connection(s, o);
    const closed = new Promise((resolve) => c.onclose(resolve));
    await c.start();
    await said(s, text(await closed));
  };

  // Echo and stop after so many reconnects.
  const reconnects = (o, times = 1, first = () => {}) => async (s) => {
    const c = connection(s, { reconnect: true, ...o });
    let n = 0;
    const again = new Promise((resolve) => c.onreconnected(() => { if (++n === times) resolve(); }));
    await c.start();
    first(c, s);
    await again;
    await echoStop(c);
  };

  const stateful = { stateful: true };

  const tasks = {
    "websockets": greeted(),
    "events": greeted({ transport: ServerSentEvents }),
    "polling": greeted({ transport: LongPolling }),
    "polling-empty": greeted({ transport: LongPolling }),
    "skip-negotiation": lives({ skip: true, transport: WebSockets }, echoStop),
    "negotiate-version-0": lives({}, echoStop),
    "negotiate-version-1": lives({}, echoStop),
    "negotiate-error": fails(),
    "negotiate-404": fails(),
    "negotiate-401": fails({ token: "test-token" }),
    "negotiate-old-server": fails(),
    "negotiate-headers": lives({}, echoStop),
    "cookie": lives({}, echoStop),
    "fallback": lives({}, echoStop),
    "messagepack-transport": lives({ pack: true, transport: ServerSentEvents | LongPolling }, (c) => c.stop()),
    "polling-first-404": fails(),
    "polling-end": closes(),
    "polling-500": reconnects(),
    "polling-401": closes({ token: "test-token" }),
    "post-409": async (s) => {
      const c = connection(s, { transport: ServerSentEvents });
      const go = new Promise((resolve) => c.on("go", resolve));
      await c.start();
      await go;
      await c.invoke("Echo", "lost").catch(() => {});
      await echoStop(c);
    },
    "token-websockets": lives({ token: "tok+/=1" }, echoStop),
    "token-events": lives({ token: "tok+/=1" }, echoStop),
    "token-polling": lives({ token: "tok+/=1" }, echoStop),
    "redirect": lives({ token: "app-token" }, echoStop),
    "redirect-bare": lives({}, echoStop),
    "redirect-no-token": lives({ token: "app-token" }, echoStop),
    "redirect-polling": lives({ token: "app-token" }, echoStop),
    "redirect-loop": fails(),
    "redirect-reconnect": reconnects({ token: "app-token" }),
    "handshake-error": fails({ reconnect: true }),
    "handshake-joined": greeted(),
    "handshake-split": lives({}, echoStop),
    "message-split": greeted(),
    "messages-joined": async (s) => {
      const c = connection(s);
      let n = 0;
      c.on("hello", (x) => { c.send("Got", x); if (++n === 3) echoStop(c); });
      await c.start();
    },
    "frames": greeted(),
    "event-lines": greeted(),
    "unknown-type": lives({}, echoStop),
    "unknown-call": lives({}, echoStop),
    "completion-unknown": lives({}, echoStop),
    "unknown-members": greeted(),
    "completion-null": lives({}, async (c) => { await c.send("Got", await c.invoke("Five")); await echoStop(c); }),
    "completion-error": lives({}, async (c) => { await c.invoke("Fail").catch(() => c.send("Got", true)); await echoStop(c); }),
    "answers-swapped": lives({}, (c) => Promise.all(["One", "Two"].map(async (m) => c.send("Got", await c.invoke(m))))),
    "send": lives({}, async (c) => { await c.send("Got", "there"); await echoStop(c); }),
    "stream": lives({}, async (c) => {
      const items = [];
      await new Promise((complete, error) => c.stream("Count", 3).subscribe({ next: (i) => items.push(i), complete, error }));
      await c.send("Got", items);
      await echoStop(c);
    }),
    "stream-cancel": lives({}, async (c) => {
      let n = 0;
      await new Promise((resolve, error) => {
        const s = c.stream("Forever").subscribe({ next: () => { if (++n === 2) { s.dispose(); resolve(); } }, complete() {}, error });
      });
      await echoStop(c);
    }),
    "upload": lives({}, async (c) => {
      const up = new signalR.Subject(), sum = c.invoke("Sum", up);
      for (const n of [1, 2, 3]) up.next(n);
      up.complete();
      await sum;
      await echoStop(c);
    }),
    "client-result": async (s) => {
      const c = connection(s);
      c.on("ask", (x) => x + 1);
      const go = new Promise((resolve) => c.on("go", resolve));
      await c.start();
      await go;
      await echoStop(c);
    },
    "close": closes({ reconnect: true }),
    "close-error": closes({ reconnect: true }, (e) => e?.message ?? "no error"),
    "close-no-reconnect": closes(),
    "close-reconnect": reconnects(),
    "close-frames": reconnects({}, 4),
    "pending-call": reconnects({}, 1, (c, s) => c.invoke("Slow").catch(() => said(s, "failed"))),
    "events-end": reconnects(),
    "keep-alive": async (s) => {
      const c = connection(s, { keepAlive: 300 });
      const hello = new Promise((resolve) => c.on("hello", resolve));
      await c.start();
      await hello;
      await echoStop(c);
    },
    "server-timeout": lives({ timeout: 1000 }, () => {}),
    "server-alive": async (s) => {
      const c = connection(s, { timeout: 1000 });
      const hello = new Promise((resolve) => c.on("hello", resolve));
      await c.start();
      await hello;
      await echoStop(c);
    },
    "stop-in-negotiate": async (s) => {
      const c = connection(s);
      const start = c.start().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 200));
      await c.stop();
      await start;
    },
    "stateful": answers(stateful),
    "stateful-acknowledged": answers(stateful),
    "stateful-ack": answers(stateful),
    "stateful-first": answers(stateful),
    "stateful-sequence-too-high": closes(stateful),
    "stateful-refused": reconnects(stateful),
    "stateful-call": lives(stateful, async (c) => { await echo(c); await c.send("Got", "x"); }),
    "stateful-close-reconnect": reconnects(stateful),
    "stateful-close": lives({ reconnect: true, ...stateful }, () => {}),
  };

  return (scenario) => tasks[taskName(scenario.name)](scenario);
}
