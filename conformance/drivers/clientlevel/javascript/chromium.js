import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { chromium } from "playwright-core";

// open starts Chromium, the world of a client that is a page's. A lane is a function that does a scenario in a page, loaded anew for each.
// Lanes have browser contexts of their own, since a page may hold six HTTP connections a host.
export async function open({ scripts }) {
  const files = await serveFiles(scripts);
  // A profile of its own, and nothing that speaks to the world outside.
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
    headless: true,
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    ],
  });
  return {
    async lane() {
      const page = await (await browser.newContext()).newPage();
      return async (scenario) => {
        await page.goto(files.url);
        await page.evaluate(async (s) => { await (await import("/page.js")).run(s); }, scenario);
      };
    },
    async close() {
      await browser.close();
      files.close();
    },
  };
}

// serveFiles serves an empty page with the client in it, from another origin than the judge's, and the files of this folder.
async function serveFiles(scripts) {
  const tags = scripts.map((s) => `<script src="/node_modules/${s}"></script>`);
  const page = `<!DOCTYPE html><title>scenario</title><link rel="icon" href="data:,">${tags.join("")}`;
  const server = createServer(async ({ url }, response) => {
    response.setHeader("Content-Type", url === "/" ? "text/html; charset=utf-8" : "text/javascript; charset=utf-8");
    try {
      response.end(url === "/" ? page : await readFile(new URL("." + url, import.meta.url)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
