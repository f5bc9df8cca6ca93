// Usage: legacy.js URL [NAME-PART]: jquery.signalR in Chromium, in the scenarios of the judge at URL.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { runTasks } from "./judge.js";

const scripts = ["node_modules/jquery/dist/jquery.js", "node_modules/signalr/jquery.signalR.js"];
const files = await serveFiles();
// A profile of its own, and nothing that speaks to the world outside.
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
  headless: true,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
  ],
});
// Each scenario has a page and browser context of its own, since a page may hold six HTTP connections a host.
const status = await runTasks("legacy", new Proxy({}, { get: (_, name) => (scenario) => inPage(name, scenario) }),
  new URL("known-failing-legacy.txt", import.meta.url));
await browser.close();
files.close();
process.exit(status);

async function inPage(name, scenario) {
  const page = await (await browser.newContext()).newPage();
  await page.goto(files.url);
  await page.evaluate(async ([name, scenario]) => { await (await import("/legacytasks.js")).tasks[name](scenario); }, [name, scenario]);
}

// serveFiles serves an empty page with the client in it, from another origin than the judge's.
async function serveFiles() {
  const server = createServer(async ({ url }, response) => {
    response.setHeader("Content-Type", url === "/" ? "text/html; charset=utf-8" : "text/javascript; charset=utf-8");
    if (url === "/") {
      const tags = scripts.map((s) => `<script src="/${s}"></script>`);
      return response.end(`<!DOCTYPE html><title>scenario</title><link rel="icon" href="data:,">${tags.join("")}`);
    }
    try {
      response.end(await readFile(new URL("." + url, import.meta.url)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
