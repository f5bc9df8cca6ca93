// The ASP.NET SignalR 2 side of the demo page: negotiate, one persistent connection by WebSocket, reconnect
// from where it broke, and the hub protocol. The page needs no jQuery.
const hubPath = "/signalr";
const hubsWanted = JSON.stringify([{ name: "chathub" }, { name: "roomhub" }]);

// Hub is one connection with its two hubs.
class Hub {
  #calls = new Map(); #next = 0; #over = false; #socket; #timer; #cursor = ""; #heard = 0; #init;
  #base; #query; #token; #settings;
  handlers = {};
  onclose = () => {};
  onaway = () => {};
  onwire = () => {};

  async start(url, transport) {
    await this.#negotiate(url);
    this.id = this.#settings.ConnectionId;
    const init = new Promise((ok, no) => this.#init = { ok, no });
    init.catch(() => {});
    try {
      await this.#open("connect");
      await Promise.race([init, later(this.#settings.TransportConnectTimeout * 1000 + 5000).then(() => { throw new Error("the connection did not begin"); })]);
      const r = await this.#ask("start");
      if ((await r.json()).Response !== "started") throw new Error("the connection did not start");
    } catch (e) {
      this.#end(e, true);
      throw e;
    }
    this.#timer = setInterval(() => this.#watch(), 1000);
  }

  // The app sends us on to the service, whose answer has the connection. What the redirect has behind its
  // question mark takes the place of our own query.
  async #negotiate(url) {
    [this.#base, this.#query] = url.split("?");
    for (let hop = 0; hop < 5; hop++) {
      const r = await this.#ask("negotiate");
      const a = await r.json();
      if (a.Error) throw new Error(a.Error);
      if (!a.RedirectUrl) {
        if (!a.TryWebSockets) throw new Error("the service does not offer WebSockets");
        return this.#settings = a;
      }
      [this.#base, this.#query] = a.RedirectUrl.split("?");
      this.#token = a.AccessToken;
    }
    throw new Error("too many redirects");
  }

  #parameters(more) {
    const p = new URLSearchParams(this.#query || "");
    p.set("clientProtocol", "2.1");
    p.set("connectionData", hubsWanted);
    if (this.#settings) {
      p.set("transport", "webSockets");
      p.set("connectionToken", this.#settings.ConnectionToken);
    }
    for (const [name, value] of Object.entries(more)) p.set(name, value);
    return p;
  }

  async #ask(what, options = {}) {
    const r = await fetch(this.#base + "/" + what + "?" + this.#parameters({ _: Date.now() }), {
      headers: this.#token ? { Authorization: "Bearer " + this.#token } : {}, ...options,
    });
    if (!r.ok) throw new Error((await r.text()) || what + " failed with " + r.status);
    return r;
  }

  // open opens a WebSocket to connect or reconnect and makes it the connection's.
  #open(what) {
    const u = new URL(this.#settings.Url + "/" + what, this.#base);
    u.protocol = u.protocol === "https:" ? "wss:" : "ws:";
    const more = { tid: Math.floor(Math.random() * 11) };
    if (this.#token) more.access_token = this.#token;
    if (what === "reconnect" && this.#cursor) more.messageId = this.#cursor;
    u.search = this.#parameters(more);
    const s = new WebSocket(u);
    return new Promise((ok, no) => {
      let open = false;
      s.onopen = () => { open = true; this.#socket = s; this.#heard = Date.now(); ok(); };
      s.onmessage = e => { if (s === this.#socket) this.#receive(e.data); };
      s.onclose = () => { if (!open) no(new Error("the WebSocket did not open")); else if (s === this.#socket) this.#lost(); };
    });
  }

  // lost tries to go on where the connection broke, as long as the service keeps it.
  async #lost() {
    if (this.#over) return;
    this.#socket = null;
    this.#drop(new Error("the connection was lost"));
    if (this.#init) return this.#init.no(new Error("the connection was lost"));
    this.onaway(true);
    const until = Date.now() + this.#settings.DisconnectTimeout * 1000;
    while (!this.#over && Date.now() < until) {
      try {
        await this.#open("reconnect");
        this.onaway(false);
        return;
      } catch {
        await later(2000);
      }
    }
    this.#end(new Error("the service does not know the connection any more"), true);
  }

  #watch() {
    const limit = this.#settings.KeepAliveTimeout;
    if (this.#socket && limit && Date.now() - this.#heard > limit * 1000) {
      const s = this.#socket;
      this.#lost();
      s.close();
    }
  }

  invoke(method, ...args) {
    if (this.#over || !this.#socket) return Promise.reject(new Error("not connected"));
    const id = this.#next++;
    const text = JSON.stringify({ H: method === "Echo" ? "chathub" : "roomhub", M: method, A: args, I: id });
    const answer = new Promise((ok, no) => this.#calls.set(String(id), { ok, no }));
    this.onwire("→", text);
    this.#socket.send(text);
    return answer;
  }

  stop() {
    if (this.#over) return;
    this.#end(null, false);
  }

  #receive(text) {
    this.#heard = Date.now();
    const m = JSON.parse(text);
    if (Object.keys(m).length === 0) return; // the service lives
    this.onwire("←", text);
    if ("I" in m) return this.#answer(m);
    if (m.E) return this.#end(new Error(m.E), true);
    if (m.C) this.#cursor = m.C;
    for (const item of m.M || []) {
      if ("I" in item) this.#answer(item);
      else this.handlers[item.M.toLowerCase()]?.(...item.A);
    }
    if (m.S && this.#init) {
      this.#init.ok();
      this.#init = null;
    }
  }

  #answer(m) {
    const call = this.#calls.get(String(m.I));
    this.#calls.delete(String(m.I));
    if (call) m.E ? call.no(new Error(m.E)) : call.ok(m.R);
  }

  #drop(error) {
    this.#calls.forEach(c => c.no(error));
    this.#calls.clear();
  }

  #end(error, again) {
    if (this.#over) return;
    this.#over = true;
    clearInterval(this.#timer);
    if (this.#socket) this.#socket.onclose = null;
    this.#socket?.close();
    if (this.#settings) this.#ask("abort", { method: "POST", keepalive: true }).catch(() => {});
    this.#drop(error || new Error("the connection was stopped"));
    this.onclose(error, again);
  }
}
