// App is the server under test as the driver's own process sees it: where a client of it starts, and what its back end does.
//
// In mode "redirect" a page is given the app's own address and follows what negotiate answers. In mode "direct" the driver asks
// negotiate in the page's place, and the page starts where that led to, with the token in its query. Without a mode each client
// starts in the way that it can.
export class App {
  #redirectsTo = null; // origin

  constructor({ url, mode, query = "", backend }) {
    const u = new URL(url);
    this.url = u.origin + (u.pathname === "/" ? "/signalr" : u.pathname.replace(/\/$/, ""));
    this.mode = mode;
    this.query = query;
    this.backend = backend ?? u.origin;
    // A token in the given query makes every connection the same user, and its address need not be an app's.
    this.oneToken = new URLSearchParams(query).has("access_token");
  }

  // probe finds out whether the app redirects.
  async probe() {
    const { RedirectUrl } = await this.#negotiate(this.query);
    if (RedirectUrl) this.#redirectsTo = new URL(RedirectUrl, this.url).origin;
  }

  // cannot gives the reason why this client does not start over this transport here, or "".
  cannot(client, transport) {
    if (!this.#redirectsTo || this.#direct(client, transport)) return "";
    if (!client.followsRedirect) return "this client does not follow the app's redirect; see --mode direct";
    if (transport === "foreverFrame") return "forever frame refuses the redirect's access token; see --mode direct";
    return "";
  }

  // entry gives the address and query that a connection starts with. Where it goes through net, swap is what has to be replaced in
  // the redirect that it will get.
  async entry(client, transport, query, net) {
    query = [query, this.query].filter(Boolean).join("&");
    let url = this.url, swap = null;
    if (!this.#redirectsTo) {
      // Both modes are the same at a server that hosts its hubs itself.
    } else if (this.#direct(client, transport)) {
      const { RedirectUrl, AccessToken } = await this.#negotiate(query);
      const u = new URL(RedirectUrl, this.url);
      url = u.origin + u.pathname;
      query = [u.search.slice(1), "access_token=" + encodeURIComponent(AccessToken)].filter(Boolean).join("&");
    } else if (net) {
      swap = { from: this.#redirectsTo, to: await net.through(this.#redirectsTo) };
    }
    return { url: net ? await net.through(url) : url, query, swap };
  }

  // origin is what a page has to be served from to be of the same origin as the channel of its connections.
  origin(client, transport) {
    return this.#redirectsTo && this.#direct(client, transport) ? this.#redirectsTo : new URL(this.url).origin;
  }

  // post does what a back end does beside the hub.
  async post(path) {
    const { status } = await fetch(`${this.backend}/backend/${path}`, { method: "POST" });
    if (status !== 200) throw new Error(`POST /backend/${path}: ${status}`);
  }

  // stats counts OnConnected and OnDisconnected of all clients of the server.
  async stats() {
    const [connects, disconnects] = (await (await fetch(this.backend + "/backend/stats")).text()).split(" ").map(Number);
    return { connects, disconnects };
  }

  #direct(client, transport) {
    if (this.mode) return this.mode === "direct";
    return !client.followsRedirect || transport === "foreverFrame";
  }

  async #negotiate(query) {
    const data = encodeURIComponent(JSON.stringify([{ name: "chathub" }, { name: "otherhub" }]));
    const url = `${this.url}/negotiate?clientProtocol=2.1&connectionData=${data}` + (query && "&" + query);
    const response = await fetch(url);
    if (response.status !== 200) throw new Error(`negotiate: status ${response.status}`);
    return response.json();
  }
}
