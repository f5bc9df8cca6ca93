import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { Net } from "./cutproxy.js";
import { Mutex } from "./mutex.js";

// launch starts Debian's Chromium with a profile of its own, and nothing that speaks to the world outside.
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    ],
  });
}

// chromiumWorld runs each lane in a page and browser context of its own, since a page may hold six HTTP connections a host. The pages
// come from a port that is neither the app's nor the service's, so every request is cross-origin.
export async function chromiumWorld() {
  const browser = await launch();
  const pages = await servePages();
  const mutex = new Mutex();
  return {
    async run({ client, lane, wanted }, options, report) {
      const context = await browser.newContext();
      const nets = [], unlocks = [];
      // What a page cannot do itself, it asks for by this name.
      const driver = {
        report,
        net: () => nets.push(new Net()) - 1,
        through: (net, url) => nets[net].through(url),
        cut: (net) => nets[net].cut(),
        blackout: (net, ms) => nets[net].blackout(ms),
        closeNet: (net) => nets[net].close(),
        lock: async () => unlocks.push(await mutex.lock()) - 1,
        unlock: (lock) => unlocks[lock](),
      };
      try {
        const page = await context.newPage();
        const errors = [];
        page.on("pageerror", (e) => errors.push(e.message));
        await page.exposeFunction("driver", (name, ...args) => driver[name](...args));
        await page.goto(pages.url + "?" + client.scripts.map((s) => "script=" + s).join("&"));
        await page.evaluate(async (work) => { await (await import("/page.js")).runLane(work); }, { client, lane, wanted, options });
        if (errors.length > 0) report("FAIL", "errors in the page", errors.join(" | "));
      } finally {
        await context.close();
        for (const net of nets) await net.close();
        for (const unlock of unlocks) unlock();
      }
    },
    async close() {
      await browser.close();
      pages.close();
    },
  };
}

// servePages serves an empty page that loads the scripts its query names, and the files of this folder.
async function servePages() {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://page");
    if (pathname === "/") {
      const tags = searchParams.getAll("script").map((s) => `<script src="/node_modules/${s}"></script>`);
      response.setHeader("Content-Type", "text/html; charset=utf-8");
      return response.end(`<!DOCTYPE html><title>battery</title><link rel="icon" href="data:,">${tags.join("")}`);
    }
    try {
      const text = await readFile(new URL("." + pathname, import.meta.url));
      response.setHeader("Content-Type", "text/javascript; charset=utf-8");
      response.end(text);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
