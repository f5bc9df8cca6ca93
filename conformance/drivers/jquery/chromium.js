import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { Net } from "../js/cutproxy.js";

// Chromium runs works, each in a page and browser context of its own, since a page may hold six HTTP connections a host.
export class Chromium {
  static async launch(app) {
    const c = new Chromium();
    c.app = app;
    c.files = await serveFiles();
    // A profile of its own, and nothing that speaks to the world outside.
    c.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
      headless: true,
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
        // A page that the driver answers for has no address of its own, and would count as one from outside this machine.
        "--disable-features=LocalNetworkAccessChecks",
      ],
    });
    return c;
  }

  // run makes the wanted checks of a work.
  async run({ client, transport, tracks, wanted }, report) {
    const { app } = this, context = await this.browser.newContext(), nets = [new Net()], errors = [];
    const work = { client, transport, tracks, wanted, oneToken: app.oneToken, script: app.url + "/hubs" };
    const origin = transport === "foreverFrame" ? await nets[0].through(app.origin(client, transport)) : null;
    const evaluate = (page, name) => page.evaluate(async ([from, f, w]) => { await (await import(from))[f](w); }, [this.files.url + "jquery/page.js", name, work]);
    // What a page cannot do itself, it asks for by this name. Net 0 is the one that the page itself came through.
    const driver = {
      report,
      entry: (transport, query, net) => app.entry(client, transport, query, nets[net]),
      net: () => nets.push(new Net()) - 1,
      blackout: (net, ms) => nets[net].blackout(ms),
      post: (path) => app.post(path),
      stats: () => app.stats(),
      // leave opens another page with one connection, and leaves it.
      leave: async () => {
        const page = await context.newPage();
        await this.#goto(page, client, origin);
        await evaluate(page, "openOne");
        await page.goto("about:blank");
      },
    };
    try {
      await context.exposeFunction("driver", (name, ...args) => driver[name](...args));
      const page = await context.newPage();
      page.on("pageerror", (e) => errors.push(e.message));
      await this.#goto(page, client, origin);
      await evaluate(page, "runWork");
      if (errors.length > 0) report("FAIL", `(errors in the page of ${tracks})`, errors.join(" | "));
    } finally {
      await context.close();
      for (const net of nets) await net.close();
    }
  }

  async close() {
    await this.browser.close();
    this.files.close();
  }

  // The page comes from a port of the driver's, so that its requests are cross-origin, or as if from the given origin: a forever
  // frame's iframe has to reach its parent (legacy-client-protocol 4.4).
  async #goto(page, { scripts }, origin) {
    const path = "battery?" + scripts.map((s) => "script=" + s).join("&");
    if (!origin) return page.goto(this.files.url + path);
    const url = origin + "/" + path;
    await page.route(url, (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body: html(this.files.url, scripts) }));
    await page.goto(url);
    await page.unroute(url);
  }
}

// html is an empty page that loads these scripts.
function html(files, scripts) {
  const tags = scripts.map((s) => `<script src="${files}jquery/node_modules/${s}"></script>`);
  return `<!DOCTYPE html><title>battery</title><link rel="icon" href="data:,">${tags.join("")}`;
}

// serveFiles serves the page and the JavaScript of the drivers.
async function serveFiles() {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://files");
    if (pathname === "/battery") {
      response.setHeader("Content-Type", "text/html; charset=utf-8");
      return response.end(html("/", searchParams.getAll("script")));
    }
    try {
      const text = await readFile(new URL(".." + pathname, import.meta.url));
      response.setHeader("Content-Type", "text/javascript; charset=utf-8");
      response.setHeader("Access-Control-Allow-Origin", "*");
      response.end(text);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
