import { Deferred, Inbox, Skip, soon } from "./battery.js";

// Connection is one client of the chat hub, with what it was told.
//
// The world it lives in is given by env, which differs between Node and a page:
//   env.signalR, env.msgpack   the client library, and its MessagePack package
//   env.can                    what this version can do (clients.js)
//   env.inPage                 whether a browser's own WebSocket, EventSource and fetch are used
//   env.net()                  a Net (cutproxy.js), or something that speaks for one in another process
//   env.locked(f)              runs f while no other lane of this run runs such an f
export class Connection {
  constructor(env, lane) {
    this.env = env;
    this.lane = lane;
    this.messages = new Inbox();
    this.welcome = new Deferred();
    this.closed = new Deferred(); // with the error's text, or ""
    this.reconnected = new Inbox();
    this.reconnecting = 0;
    this.negotiations = [];
  }

  // open starts a connection. options: query, cuttable (through a Net), stateful, auto (automatic reconnect).
  static async open(env, lane, hubURL, options = {}) {
    const c = new Connection(env, lane), { signalR } = env;
    let url = options.query ? hubURL + (hubURL.includes("?") ? "&" : "?") + options.query : hubURL;
    if (options.cuttable) {
      c.net = await env.net();
      url = await c.net.through(url);
    }
    const builder = new signalR.HubConnectionBuilder()
      .configureLogging(signalR.LogLevel.None)
      .withUrl(url, {
        transport: signalR.HttpTransportType[lane.transport],
        httpClient: watching(signalR, c),
        ...(env.can.headers ? { headers: { "X-Test": "seen" } } : {}),
      });
    if (lane.binary) builder.withHubProtocol(new env.msgpack.MessagePackHubProtocol());
    if (options.stateful) builder.withStatefulReconnect();
    if (options.auto) builder.withAutomaticReconnect([0, 200, 400, 800, ...Array(40).fill(1000)]);
    c.hub = builder.build();
    c.hub.on("message", (m) => c.#receive(m));
    c.hub.on("welcome", (id) => c.welcome.resolve(id));
    if (env.can.results) {
      c.hub.on("question", (q) => {
        if (q === "throw") throw new Error("client refuses");
        return Promise.resolve("answer to " + q);
      });
    }
    c.hub.onclose((e) => c.closed.resolve(e ? e.message : ""));
    if (env.can.reconnect) {
      c.hub.onreconnecting(() => { c.reconnecting++; });
      c.hub.onreconnected((id) => c.reconnected.push(id ?? ""));
    }
    await soon(c.hub.start(), "connected", 20);
    return c;
  }

  // Several batteries may share a server: what is sent to many carries the lane's mark, and what others sent is not seen.
  #receive(message) {
    const at = message.lastIndexOf("@");
    if (at < 0) this.messages.push(message);
    else if (message.slice(at) === this.lane.mark) this.messages.push(message.slice(0, at));
  }

  ask(method, ...args) { return this.hub.invoke(method, ...args); }

  // tell invokes a method; the message of a Send method, its last argument, is marked.
  tell(method, ...args) {
    if (method.startsWith("Send")) args.push(args.pop() + this.lane.mark);
    return this.hub.invoke(method, ...args);
  }

  id() { return this.ask("MyId"); }
  next(ms) { return this.messages.next(ms); }
  take(n) { return this.messages.take(n); }

  // stream takes what a hub's stream brings, until it ends or n items are there; then it is cancelled.
  stream(method, args = [], n = Infinity) {
    const items = [];
    const ended = new Promise((resolve, reject) => {
      let subscription;
      const enough = () => {
        if (items.length !== n) return;
        try { subscription.dispose(); resolve(); } catch (e) { reject(e); }
      };
      subscription = this.hub.stream(method, ...args).subscribe({
        next: (item) => { items.push(item); enough(); },
        complete: resolve,
        error: reject,
      });
    });
    return { items, ended };
  }

  // upload gives a stream argument of these items.
  upload(items) {
    if (!this.env.can.upload) throw new Skip("this client has no upload streams");
    const subject = new this.env.signalR.Subject();
    // The library subscribes while it sends the invocation, that is before this microtask.
    queueMicrotask(() => { for (const item of items) subject.next(item); subject.complete(); });
    return subject;
  }

  async dispose() {
    await soon(this.hub.stop(), "stopped", 5).catch(() => {});
    await this.net?.close();
  }
}

// watching is the library's HTTP client, which keeps the negotiate answers and leads their redirects through the connection's Net.
function watching(signalR, connection) {
  const inner = new signalR.DefaultHttpClient(signalR.NullLogger.instance);
  return new (class extends signalR.HttpClient {
    async send(request) {
      const response = await inner.send(request);
      if (response.statusCode !== 200 || !new URL(request.url).pathname.endsWith("/negotiate")) return response;
      const answer = JSON.parse(response.content);
      connection.negotiations.push(answer);
      if (!connection.net || !answer.url) return response;
      const content = JSON.stringify({ ...answer, url: await connection.net.through(answer.url) });
      return new signalR.HttpResponse(response.statusCode, response.statusText, content);
    }
    getCookieString(url) { return inner.getCookieString(url); }
  })();
}
