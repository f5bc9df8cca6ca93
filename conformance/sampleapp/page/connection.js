// The ASP.NET Core side of the demo page: transports, negotiate, and the json hub protocol.
const hubPath = "/chat";
const RS = "\x1e";

// Transports. Each takes the negotiated URL and token, calls receive with text and closed once, and
// offers send(text) and stop().

function webSocket(url, token, receive, closed) {
  const u = new URL(url);
  u.protocol = u.protocol === "https:" ? "wss:" : "ws:";
  if (token) u.searchParams.set("access_token", token);
  const s = new WebSocket(u);
  s.onmessage = e => receive(e.data);
  s.onclose = () => closed();
  return {
    opened: new Promise((ok, no) => { s.onopen = () => ok(); s.onerror = () => no(new Error("the WebSocket did not open")); }),
    send: text => s.send(text),
    stop: () => s.close(),
  };
}

const bearer = token => token ? { Authorization: "Bearer " + token } : {};

function poster(url, token) {
  let queue = Promise.resolve(); // one POST at a time keeps the order
  return text => queue = queue.then(async () => {
    const r = await fetch(url, { method: "POST", body: text, headers: { ...bearer(token), "Content-Type": "text/plain;charset=UTF-8", "X-Requested-With": "XMLHttpRequest" } });
    if (!r.ok) throw new Error("sending failed with " + r.status);
  });
}

function serverSentEvents(url, token, receive, closed) {
  const u = new URL(url);
  if (token) u.searchParams.set("access_token", token);
  const s = new EventSource(u);
  s.onmessage = e => receive(e.data);
  const opened = new Promise((ok, no) => {
    s.onopen = () => ok();
    s.onerror = () => { s.close(); no(new Error("the event stream did not open")); closed(); };
  });
  return { opened, send: poster(url, token), stop: () => s.close() };
}

function longPolling(url, token, receive, closed) {
  const stop = new AbortController();
  const poll = async () => {
    const u = new URL(url);
    u.searchParams.set("_", Date.now());
    const r = await fetch(u, { headers: { ...bearer(token), "X-Requested-With": "XMLHttpRequest" }, signal: stop.signal });
    if (r.status !== 200) throw new Error("polling ended with " + r.status);
    return r.text();
  };
  const opened = poll().then(first => { if (first) receive(first); });
  opened.then(async () => { for (;;) { const text = await poll(); if (text) receive(text); } }).catch(() => closed());
  return {
    opened, send: poster(url, token),
    stop: () => { stop.abort(); fetch(url, { method: "DELETE", headers: bearer(token), keepalive: true }).catch(() => {}); },
  };
}

const transports = { WebSockets: webSocket, ServerSentEvents: serverSentEvents, LongPolling: longPolling };

// negotiate asks the app, which sends us on to the service, which gives us an id.
async function negotiate(url) {
  let token = "";
  for (let hop = 0; hop < 5; hop++) {
    const u = new URL(url);
    u.pathname = u.pathname.replace(/\/?$/, "/negotiate");
    if (!u.searchParams.has("negotiateVersion")) u.searchParams.set("negotiateVersion", "1");
    const r = await fetch(u, { method: "POST", headers: { ...bearer(token), "X-Requested-With": "XMLHttpRequest" } });
    if (!r.ok) throw new Error((await r.text()) || "negotiation failed with " + r.status);
    const a = await r.json();
    if (a.error) throw new Error(a.error);
    if (!a.url) return { url, token, id: a.connectionId, key: a.connectionToken || a.connectionId, offered: a.availableTransports.map(t => t.transport) };
    [url, token] = [a.url, a.accessToken || ""];
  }
  throw new Error("too many redirects");
}

// Hub is one connection and the json hub protocol on it.
class Hub {
  #calls = new Map(); #next = 0; #rest = ""; #over = false; #timers = []; #carrier; #heard = 0; #shaken;
  handlers = {};
  onclose = () => {};
  onaway = () => {};
  onwire = () => {};

  async start(url, transport) {
    const n = await negotiate(url);
    if (!n.offered.includes(transport)) throw new Error("the service does not offer this transport");
    this.id = n.id;
    const u = new URL(n.url);
    u.searchParams.set("id", n.key);
    const shaken = new Promise((ok, no) => this.#shaken = { ok, no });
    shaken.catch(() => {});
    this.#carrier = transports[transport](u.href, n.token, text => this.#receive(text), () => this.#end(new Error("the connection was lost"), true));
    try {
      await this.#carrier.opened;
      this.#write('{"protocol":"json","version":1}');
      await Promise.race([shaken, later(15000).then(() => { throw new Error("no answer to the handshake"); })]);
    } catch (e) {
      this.#end(e, true);
      throw e;
    }
    this.#heard = Date.now();
    this.#timers.push(setInterval(() => {
      if (Date.now() - this.#heard > 30000) this.#end(new Error("the server fell silent"), true);
    }, 1000));
    if (transport !== "LongPolling") {
      this.#write('{"type":6}');
      this.#timers.push(setInterval(() => this.#write('{"type":6}'), 15000));
    }
  }

  invoke(target, ...args) {
    if (this.#over) return Promise.reject(new Error("not connected"));
    const id = String(this.#next++);
    const answer = new Promise((ok, no) => this.#calls.set(id, { ok, no }));
    this.#write(JSON.stringify({ type: 1, invocationId: id, target, arguments: args }));
    return answer;
  }

  stop() {
    if (this.#over) return;
    this.#write('{"type":7}');
    setTimeout(() => this.#end(null, false), 50);
  }

  #write(text) {
    if (this.#over) return;
    this.onwire("→", text);
    try { Promise.resolve(this.#carrier.send(text + RS)).catch(e => this.#end(e, true)); } catch (e) { this.#end(e, true); }
  }

  #receive(text) {
    this.#heard = Date.now();
    const all = (this.#rest + text).split(RS);
    this.#rest = all.pop();
    for (const one of all) {
      this.onwire("←", one);
      const m = JSON.parse(one);
      if (this.#shaken) {
        const { ok, no } = this.#shaken;
        this.#shaken = null;
        m.error ? no(new Error(m.error)) : ok();
      } else if (m.type === 1) {
        this.handlers[m.target.toLowerCase()]?.(...m.arguments);
      } else if (m.type === 3) {
        const call = this.#calls.get(m.invocationId);
        this.#calls.delete(m.invocationId);
        if (call) m.error ? call.no(new Error(m.error)) : call.ok(m.result);
      } else if (m.type === 7) {
        this.#end(new Error(m.error || "the server closed the connection"), m.allowReconnect === true);
      }
    }
  }

  #end(error, again) {
    if (this.#over) return;
    this.#over = true;
    this.#timers.forEach(clearInterval);
    this.#carrier?.stop();
    this.#calls.forEach(c => c.no(error || new Error("the connection was stopped")));
    this.onclose(error, again);
  }
}
