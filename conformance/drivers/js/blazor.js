import { eq, runChecks, Skip, within } from "./battery.js";
import { launch } from "./chromium.js";

// checkBlazor opens the app's interactive Blazor Server page in Chromium: its circuit is a SignalR connection (hub _blazor, protocol
// blazorpack), which an app that offloads its hubs offloads too.
export async function checkBlazor(url, only, { list, slow }, report) {
  const address = new URL("/blazor", url).href;
  const checks = [];
  const add = (name, body, seconds = 40) => checks.push({ name: "blazor " + name, seconds, body });
  let browser;

  // opened gives a body a fresh page whose circuit is up, with what its network did.
  const opened = (body) => async () => {
    const context = await browser.newContext();
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(15000);
      const seen = { sockets: [], redirects: [], errors: [] };
      page.on("websocket", (s) => seen.sockets.push(s));
      page.on("pageerror", (e) => seen.errors.push(e.message));
      page.on("response", async (r) => {
        if (!new URL(r.url()).pathname.endsWith("/negotiate") || r.request().method() !== "POST") return;
        const answer = await r.json().catch(() => ({}));
        if (answer.url) seen.redirects.push(answer.url);
      });
      await page.goto(address);
      await interactive(page);
      await body(page, seen);
      eq(seen.errors.join(" | "), "", "errors in the page: ");
    } finally {
      await context.close();
    }
  };
  const interactive = (page) => page.locator("#interactive", { hasText: "yes" }).waitFor();
  const shows = (page, id, text) => page.locator(id).filter({ hasText: new RegExp(`^${text}$`) }).waitFor();
  const click = async (page, from, n) => {
    for (let i = from + 1; i <= from + n; i++) {
      await page.click("#add");
      await shows(page, "#count", i);
    }
  };

  add("counter counts", opened(async (page) => { await shows(page, "#count", 0); await click(page, 0, 10); }));
  add("fast clicks are all counted", opened(async (page) => {
    await page.evaluate(() => { for (let i = 0; i < 50; i++) document.querySelector("#add").click(); });
    await shows(page, "#count", 50);
  }));
  add("text mirrors", opened(async (page) => {
    const text = "héllo ☃ 𝄞 from the page";
    await page.locator("#text").pressSequentially(text, { delay: 5 });
    await shows(page, "#mirror", text);
  }));
  add("large text mirrors", opened(async (page) => {
    await page.fill("#text", "x".repeat(20_000));
    await shows(page, "#mirror", "x{20000}");
  }));
  add("survives a reload", opened(async (page) => {
    await click(page, 0, 2);
    await page.reload();
    await interactive(page);
    await shows(page, "#count", 0);
    await click(page, 0, 2);
  }));
  add("two pages at once", opened(async (page) => {
    const other = await page.context().newPage();
    await other.goto(address);
    await interactive(other);
    await click(page, 0, 3);
    await click(other, 0, 1);
    await shows(page, "#count", 3);
  }));
  add("the circuit's WebSocket goes to the service", opened(async (page, seen) => {
    await click(page, 0, 1);
    if (seen.redirects.length === 0) throw new Skip("the app does not redirect to a service");
    const want = new URL(seen.redirects[0]).host;
    if (want === new URL(address).host) throw new Error("the service's address is the app's own");
    const sockets = seen.sockets.filter((s) => !s.isClosed());
    eq(sockets.map((s) => new URL(s.url()).host).join(" "), want, "open WebSockets go to: ");
    let frames = 0;
    sockets[0].on("framereceived", () => { frames++; });
    await click(page, 1, 1);
    await within(5, "the click's answer came by that WebSocket", async () => frames > 0);
  }));
  add("idle 40 s", async () => {
    if (!slow) throw new Skip("only with --slow");
    await opened(async (page) => {
      await click(page, 0, 1);
      await page.waitForTimeout(40000);
      await click(page, 1, 1);
    })();
  }, 90);

  if (list) {
    for (const c of checks) console.log(c.name);
    return;
  }
  browser = await launch();
  await runChecks(checks.filter((c) => c.name.includes(only)), (verdict, name, why) => report.add(verdict, name, why), async () => {});
  await browser.close();
}
