// What jquery.signalR is made to do in each scenario, as its page says. $ is the page's.

const echo = (chat) => native(chat.invoke("Echo", "x"));
const said = ({ said }, text) => fetch(said, { method: "POST", body: text });
const got = (chat, x) => native(chat.invoke("Got", x));

// connection builds a client of the hub chat. Options: transport, query.
function connection({ url }, o = {}) {
  const hub = $.hubConnection(url, { useDefaultPath: false, qs: o.query });
  const chat = hub.createHubProxy("chat");
  const start = () => native(hub.start({ transport: o.transport ?? "webSockets" }));
  return { hub, chat, start };
}

// native makes a promise of jQuery's, which is settled in its own way, the browser's own.
function native(promise) {
  return new Promise((resolve, reject) => promise.done(resolve).fail((e) => reject(e instanceof Error ? e : new Error(String(e)))));
}

// A connection that waits for hello, tells that it got it, and stops after Echo, unless noEcho. It calls Echo at once where it speaks.
const greeted = (o = {}) => async (s) => {
  const { hub, chat, start } = connection(s, o);
  const done = new Promise((resolve, reject) => chat.on("hello", (x) => {
    const answer = got(chat, x);
    (o.noEcho ? answer : answer.then(() => echo(chat))).then(() => hub.stop()).then(resolve, reject);
  }));
  await start();
  if (o.speaks) await echo(chat);
  await done;
};

// A connection that starts, life(chat, hub), stop.
const lives = (o, life) => async (s) => {
  const { hub, chat, start } = connection(s, o);
  chat.on("hello", () => {});
  if (o.state) Object.assign(chat.state, o.state);
  await start();
  await life(chat, hub);
  hub.stop();
};

// Start fails, and the judge is told how.
const fails = (o) => async (s) => {
  const { chat, start } = connection(s, o);
  chat.on("hello", () => {});
  const error = await start().then(() => null, (e) => e.message);
  if (error === null) throw new Error("start did not fail");
  await said(s, error);
};

// The connection closes, and the judge is told so, or what its error was.
const closes = (text) => async (s) => {
  const { hub, chat, start } = connection(s);
  let error = null;
  chat.on("hello", () => {});
  hub.error((e) => { error = e; });
  const closed = new Promise((resolve) => hub.disconnected(resolve));
  await start();
  await echo(chat);
  await closed;
  await said(s, text(error));
};

const events = { transport: "serverSentEvents" }, polling = { transport: "longPolling" }, both = { transport: ["webSockets", "serverSentEvents"] };

const tasks = {
  "legacy-websockets": greeted(),
  "legacy-events": greeted(events),
  "legacy-polling": greeted(polling),
  "legacy-polling-groups": greeted(polling),
  "legacy-polling-blank": greeted(polling),
  "legacy-version-old": fails(),
  "legacy-version-unknown": fails(),
  "legacy-version-15": greeted(),
  "legacy-version-21": greeted(),
  "legacy-negotiate-error": fails(),
  "legacy-core-server": fails(),
  "legacy-no-connect-timeout": async (s) => {
    const { chat, start } = connection(s, { transport: "auto" });
    chat.on("hello", () => {});
    await said(s, await start().then(() => "connected", () => "failed"));
  },
  "legacy-init-late": greeted(),
  "legacy-early-message": greeted(),
  "legacy-start-500": fails(),
  "legacy-start-wrong": fails(),
  "legacy-fallback": lives(both, echo),
  "legacy-no-websockets": lives(both, echo),
  "legacy-query": lives({ query: { user: "al ice" } }, echo),
  "legacy-error": lives({}, async (chat) => {
    await native(chat.invoke("Fail")).catch((e) => got(chat, e.message));
    await echo(chat);
  }),
  "legacy-answers-swapped": lives({}, (chat) => Promise.all(["One", "Two"].map(async (m) => got(chat, await native(chat.invoke(m)))))),
  "legacy-progress": lives({}, async (chat) => {
    await native(chat.invoke("Work").progress((n) => got(chat, n)));
    await got(chat, "done");
    await echo(chat);
  }),
  "legacy-state": lives({ state: { counter: 1 } }, async (chat) => { await native(chat.invoke("Count")); await echo(chat); }),
  "legacy-batch": async (s) => {
    const { hub, chat, start } = connection(s), answers = [];
    const third = new Promise((resolve) => chat.on("hello", (x) => { if (answers.push(got(chat, x)) === 3) resolve(); }));
    await start();
    await third;
    await Promise.all(answers);
    hub.stop();
  },
  "legacy-result-in-messages": lives({}, echo),
  "legacy-disconnect-frame": greeted(),
  "legacy-error-frame": closes((e) => e?.message ?? "no error"),
  "legacy-reconnect": greeted({ noEcho: true, speaks: true }),
  "legacy-reconnect-close": greeted({ noEcho: true, speaks: true }),
  "legacy-reconnect-events": greeted({ ...events, noEcho: true, speaks: true }),
  "legacy-reconnect-polling": greeted({ ...polling, noEcho: true, speaks: true }),
  "legacy-poll-shutdown": greeted({ ...polling, noEcho: true, speaks: true }),
  "legacy-keep-alive-lost": greeted({ noEcho: true }),
  "legacy-keep-alive": greeted({ noEcho: true }),
  "legacy-no-keep-alive": greeted({ noEcho: true }),
  "legacy-gives-up": closes(() => "closed"),
  "legacy-restart": async (s) => {
    const { hub, chat, start } = connection(s);
    chat.on("hello", () => {});
    for (let i = 0; i < 2; i++) {
      await start();
      await echo(chat);
      hub.stop();
    }
  },
  "legacy-redirect": lives({ query: { user: "1" } }, echo),
  "legacy-redirect-no-token": lives({ query: { user: "1" } }, echo),
  "legacy-redirect-loop": fails(),
};

// legacyTask is the task for every scenario.
export const legacyTask = (scenario) => tasks[scenario.name](scenario);
