// Usage: main.js HUB-URL [only] [--in node|chromium|blazor] [--slow] [--list] [--jobs N]
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { clients, lanes } from "./clients.js";
import { Lane } from "./lane.js";
import { Report } from "./report.js";
import { nodeWorld } from "./node.js";
import { chromiumWorld } from "./chromium.js";
import { checkBlazor } from "./blazor.js";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    in: { type: "string", default: "node" },
    slow: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    jobs: { type: "string" }, // lanes at a time
  },
});
if (!["node", "chromium", "blazor"].includes(options.in)) throw new Error("--in node, chromium or blazor, not " + options.in);
const [url, only = ""] = options.list ? ["http://127.0.0.1/chat", ...positionals.slice(1)] : positionals;
if (!url) throw new Error("the hub's URL is missing");

const report = new Report(new URL("known-failing.txt", import.meta.url));
// Once a check has failed, its connection ends and so do promises that nobody waits for; the other lanes go on. Where none failed, they are a
// fault of their own.
const rejections = [];
process.on("unhandledRejection", (e) => rejections.push(String(e?.message ?? e)));
await (options.in === "blazor" ? checkBlazor(url, only, options, report) : battery());
if (options.list) process.exit();
if (report.failed === 0) for (const why of rejections) report.add("FAIL", `${options.in} (a promise nobody waits for)`, why);
process.exit(report.end());

async function battery() {
  const works = [];
  for (const client of clients) {
    const version = JSON.parse(readFileSync(new URL(`node_modules/${client.library}/package.json`, import.meta.url), "utf8")).version;
    for (const lane of lanes) {
      const prefix = `${options.in} ${version} ${lane.transport}/${lane.protocol} `;
      const names = new Lane({ can: client.can, inPage: options.in === "chromium" }, lane, { url, slow: options.slow }).checks.map((c) => prefix + c.name);
      if (options.list) names.forEach((name) => console.log(name));
      const wanted = names.filter((name) => name.includes(only)).map((name) => name.slice(prefix.length));
      if (wanted.length > 0) works.push({ client, lane, prefix, wanted });
    }
  }
  if (options.list) return;

  const world = await (options.in === "node" ? nodeWorld() : chromiumWorld());
  // Lanes do not see each other, so several run at once; which starts first is mixed, since the slow ones are neighbours.
  const queue = works.map((w, i) => ({ w, at: (i * 7) % works.length })).sort((x, y) => x.at - y.at).map((x) => x.w);
  const worker = async () => {
    for (let w; (w = queue.shift());) {
      try {
        await world.run(w, { url, slow: options.slow }, (verdict, name, why) => report.add(verdict, w.prefix + name, why));
      } catch (e) {
        report.add("FAIL", w.prefix + "(the lane)", e.message);
      }
    }
  };
  await Promise.all(Array.from({ length: Number(options.jobs ?? (options.in === "node" ? 12 : 8)) }, worker));
  await world.close();
}
