import net from "node:net";

// CutProxy is a TCP relay in this process between a client and one host and port, whose connections can be cut (reset) at any time.
class CutProxy {
  #open = new Set();
  #dark = false;

  constructor(host, port) {
    this.server = net.createServer((near) => this.#relay(near, host, port));
  }

  async listen() {
    await new Promise((resolve, reject) => this.server.once("error", reject).listen(0, "127.0.0.1", 1024, resolve));
    return "127.0.0.1:" + this.server.address().port;
  }

  #relay(near, host, port) {
    near.on("error", () => {});
    if (this.#dark) return near.resetAndDestroy();
    const far = net.connect(port, host);
    far.on("error", () => {});
    const pair = [near, far];
    this.#open.add(pair);
    for (const [from, to] of [[near, far], [far, near]]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.once("close", () => {
        if (from.errored) to.resetAndDestroy();
        else to.end();
        this.#open.delete(pair);
      });
    }
  }

  // cut resets both sides of every connection and tells how many there were.
  cut() {
    const pairs = [...this.#open];
    for (const pair of pairs) for (const socket of pair) socket.resetAndDestroy();
    return pairs.length;
  }

  // blackout cuts, and resets every new connection too until the time is over.
  async blackout(ms) {
    this.#dark = true;
    this.cut();
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#dark = false;
  }

  close() {
    this.server.close();
    this.cut();
  }
}

// Net is the network as one client sees it: each address it is sent to, also by a redirect in a negotiate answer, is reached
// through a CutProxy.
export class Net {
  #proxies = new Map();

  async through(url) {
    const u = new URL(url);
    if (u.protocol !== "http:" && u.protocol !== "ws:") throw new Error("connections are cut only where the address is http: " + url);
    if (!this.#proxies.has(u.host)) {
      const proxy = new CutProxy(u.hostname, Number(u.port || 80));
      this.#proxies.set(u.host, { proxy, at: await proxy.listen() });
    }
    return url.replace(u.host, this.#proxies.get(u.host).at);
  }

  async cut() { return this.#all().reduce((n, p) => n + p.cut(), 0); }
  async blackout(ms) { await Promise.all(this.#all().map((p) => p.blackout(ms))); }
  async close() { for (const p of this.#all()) p.close(); }
  #all() { return [...this.#proxies.values()].map((x) => x.proxy); }
}
