import { Inbox, soon } from "../js/battery.js";
import { aborted, swapRedirect } from "./requests.js";

// Connection is one client of chatHub and, where asked for, of otherHub, with what it was told.
export class Connection {
  messages = new Inbox();
  otherMessages = new Inbox();
  reconnected = new Inbox();
  // How often the client raised these.
  events = { reconnecting: 0, reconnected: 0, disconnected: 0, connectionSlow: 0 };

  // open starts a connection. options: query; net, the number of the Net that it goes through; bothHubs; transport, if not the lane's.
  static async open(lane, options = {}) {
    const c = new Connection(), transport = options.transport ?? lane.transport;
    c.lane = lane;
    c.net = options.net ?? null;
    const { url, query, swap } = await driver("entry", transport, options.query ?? "", c.net);
    if (swap) swapRedirect(new URL(url).origin, swap);
    c.hub = $.hubConnection(url, { qs: query, useDefaultPath: false });
    c.chat = c.hub.createHubProxy("chatHub");
    c.chat.on("message", (m) => c.#receive(c.messages, m));
    if (options.bothHubs) {
      c.other = c.hub.createHubProxy("otherHub");
      c.other.on("message", (m) => c.#receive(c.otherMessages, m));
    }
    for (const name of Object.keys(c.events)) c.hub[name](() => { c.events[name]++; });
    c.hub.reconnected(() => c.reconnected.push(c.hub.id));
    c.start = () => soon(native(c.hub.start(transport === "auto" ? {} : { transport })), "connected", 20);
    await c.start();
    return c;
  }

  // Several batteries may share a server: what is sent to many carries the lane's mark, and what others sent is not seen.
  #receive(inbox, message) {
    const at = message.lastIndexOf("@");
    if (message.slice(at) === this.lane.mark) inbox.push(message.slice(0, at));
  }

  ask(method, ...args) { return native(this.chat.invoke(method, ...args)); }

  // tell invokes a Send method, whose last argument, the message, is marked.
  tell(method, ...args) { return this.ask(method, ...args.slice(0, -1), args.at(-1) + this.lane.mark); }

  get id() { return this.hub.id; }
  next(ms) { return this.messages.next(ms); }
  take(n, ms) { return this.messages.take(n, ms); }

  async stop() {
    this.hub.stop();
    await soon(aborted(), "abort answered", 5);
  }
}

// native makes a promise of jQuery's, which is settled in its own way, the browser's own.
export function native(promise) {
  return new Promise((resolve, reject) => promise.done(resolve).fail((e) => reject(e instanceof Error ? e : new Error(String(e)))));
}
