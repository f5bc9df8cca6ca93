import { runChecks, Skip, soon } from "./battery.js";
import { Connection } from "./connection.js";
import { addCalls } from "./calls.js";
import { addSends } from "./sends.js";
import { addStreams } from "./streams.js";
import { addLives } from "./lives.js";

// Lane is one client version, transport and hub protocol, with three connections that live from check to check (anew after a failure).
export class Lane {
  constructor(env, { transport, protocol }, { url, slow, page }) {
    this.env = env;
    this.transport = transport;
    this.binary = protocol === "messagepack";
    this.url = url;
    this.slow = slow;
    this.page = page;
    this.mark = "@" + Math.random().toString(16).slice(2, 12);
    this.checks = [];
    for (const add of [addCalls, addSends, addStreams, addLives]) add(this);
  }

  // check adds a check that uses the lane's connections: a is alice, b and d are bob.
  check(name, body, seconds = 30) {
    this.checks.push({ name, seconds, body: async () => { await this.#open(); await body(this.clients); } });
  }

  // alone adds a check that makes its own connections.
  alone(name, body, seconds = 30) {
    this.checks.push({ name, seconds, body });
  }

  connect(options) { return Connection.open(this.env, this, this.url, options); }

  // using opens a connection for a check and disposes of it when the check has passed or failed.
  async using(options, body) {
    const c = await this.connect(options);
    try { await body(c); } finally { await c.dispose(); }
  }

  need(feature, why) { if (!this.env.can[feature]) throw new Skip(why); }

  // What a back end does over HTTP beside the hub (peers: /backend/…).
  post(path) { return fetch(this.#backend(path.includes("?m=") ? path + encodeURIComponent(this.mark) : path), { method: "POST" }); }
  async get(path) { return (await fetch(this.#backend(path))).text(); }
  async isHere(id) { return (await this.get("connections")).split("\n").includes(id); }
  #backend(path) { return new URL("/backend/" + path, this.url).href; }

  async #open() {
    if (this.clients) return;
    const [a, b, d] = await Promise.all(["user=alice&colour=red", "user=bob", "user=bob"].map((query) => this.connect({ query })));
    this.clients = { a, b, d };
    for (const c of [a, b, d]) await soon(c.welcome.promise, "the message sent in OnConnectedAsync");
  }

  async close() {
    const clients = Object.values(this.clients ?? {});
    this.clients = null;
    await Promise.all(clients.map((c) => c.dispose()));
  }

  // run runs the checks whose full name is wanted.
  async run(wanted, report) {
    await runChecks(this.checks.filter((c) => wanted(c.name)), report, () => this.close());
    await this.close();
  }
}
