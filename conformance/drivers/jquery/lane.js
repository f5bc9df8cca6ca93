import { runChecks, soon } from "../js/battery.js";
import { addCalls } from "./calls.js";
import { Connection } from "./connection.js";
import { addCuts } from "./cuts.js";
import { addEnds } from "./ends.js";
import { addFallbacks } from "./fallback.js";
import { addIdle } from "./idle.js";
import { addSends } from "./sends.js";

// pagesOf gives the tracks of a transport's lanes, page by page. The tracks of a page run at once, each with a network of its own. The
// page of a forever frame has one network, and what a fallback takes from the browser is missed by all. "ends" counts what the hub was
// told about all its clients, so it runs when nothing else does.
export function pagesOf(transport) {
  const main = ["idle", "cuts", "talk"];
  if (transport === "foreverFrame") return [...main.map((track) => [track]), ["ends"]];
  return transport === "auto" ? [main, ["fallback"], ["ends"]] : [main, ["ends"]];
}

// Lane is one track of one client version and transport. Its three connections live from check to check (anew after a failure).
export class Lane {
  mark = "@" + Math.random().toString(16).slice(2, 12);
  checks = [];
  #all = [];
  #shared = null;

  constructor({ client, transport, track, oneToken, script }) {
    this.client = client;
    this.transport = transport;
    this.oneToken = oneToken;
    this.script = script;
    const add = { idle: [addIdle], cuts: [addCuts], talk: [addCalls, addSends], fallback: [addFallbacks], ends: [addEnds] }[track];
    for (const f of add) f(this);
  }

  // check adds a check that uses the lane's connections: a is alice and has both hubs, b and d are bob.
  check(name, body, seconds = 30) {
    this.checks.push({ name, seconds, body: async () => { await this.#open(); await body(this.#shared); } });
  }

  // alone adds a check that makes its own connections.
  alone(name, body, seconds = 30) {
    this.checks.push({ name, seconds, body });
  }

  // connect opens a connection. A forever frame's goes through the Net that the page came through, to be of the page's origin.
  async connect(options = {}) {
    if (this.transport === "foreverFrame") {
      delete window.EventSource; // a browser that has it does not get a forever frame
      if (!options.transport) options = { net: 0, ...options };
    }
    const c = await Connection.open(this, options);
    this.#all.push(c);
    return c;
  }

  // ownNet adds to the options of a connection a network of its own, which can be cut.
  async ownNet(options) {
    return { net: this.transport === "foreverFrame" ? 0 : await driver("net"), ...options };
  }

  // using opens a connection for a check and stops it when the check has passed or failed.
  async using(options, body) {
    const c = await this.connect(options);
    try { await body(c); } finally { await c.stop(); }
  }

  async #open() {
    if (this.#shared) return;
    const [a, b, d] = await Promise.all([{ query: "user=alice&colour=red", bothHubs: true }, { query: "user=bob" }, { query: "user=bob" }].map((o) => this.connect(o)));
    this.#shared = { a, b, d };
  }

  async #stop() {
    this.#shared = null;
    await Promise.all(this.#all.splice(0).map((c) => c.stop().catch(() => {})));
  }

  // post does what a back end does beside the hub; a message, the end of the path, is marked.
  post(path) { return driver("post", path.includes("?m=") ? path + encodeURIComponent(this.mark) : path); }

  // run runs the checks that are wanted.
  async run(wanted, report) {
    await runChecks(this.checks.filter((c) => wanted(c.name)), report, () => this.#stop());
    await soon(this.#stop(), "the clients' end", 10);
  }
}
