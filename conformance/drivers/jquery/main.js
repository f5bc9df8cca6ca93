// Usage: main.js --url URL [--mode redirect|direct] [--versions 2.4.3,...] [--only REGEXP] [--backend URL] [--query k=v&...] [--jobs N]
import { parseArgs } from "node:util";
import { Report } from "../js/report.js";
import { App } from "./app.js";
import { Chromium } from "./chromium.js";
import { clients, transports } from "./clients.js";
import { Lane, pagesOf } from "./lane.js";

const { values: options } = parseArgs({
  options: {
    url: { type: "string" },
    mode: { type: "string" },
    versions: { type: "string" },
    only: { type: "string", default: "" },
    backend: { type: "string" },
    query: { type: "string" },
    jobs: { type: "string", default: "12" }, // pages at a time
  },
});
if (!options.url) throw new Error("--url is missing");
if (options.mode && !["redirect", "direct"].includes(options.mode)) throw new Error("--mode redirect or direct, not " + options.mode);
const versions = options.versions?.split(",") ?? clients.map((c) => c.version);
const unknown = versions.find((v) => !clients.some((c) => c.version === v));
if (unknown) throw new Error("no such version: " + unknown);

const app = new App(options), report = new Report(new URL("known-failing.txt", import.meta.url));
await app.probe();
const chromium = await Chromium.launch(app);
const works = plan();
const counting = works.filter((w) => w.tracks.includes("ends"));
// The longest first: cuts, and of them those that a forever frame's client is slow to notice.
const haste = (w) => Number(w.tracks.includes("cuts")) + Number(w.transport === "foreverFrame");
await inParallel(Number(options.jobs), works.filter((w) => !counting.includes(w)).sort((v, w) => haste(w) - haste(v)));
await inParallel(1, counting);
await chromium.close();
process.exitCode = report.end();

// plan lists what there is to run: the pages that have a wanted check.
function plan() {
  const only = new RegExp(options.only), works = [];
  for (const client of clients.filter((c) => versions.includes(c.version))) {
    for (const transport of transports) {
      const prefix = `${client.name} ${transport} `, why = app.cannot(client, transport);
      if (why) {
        if (only.test(prefix)) report.add("skip", prefix + "(the lane)", why);
        continue;
      }
      for (const tracks of pagesOf(transport)) {
        const names = tracks.flatMap((track) => new Lane({ client, transport, track }).checks.map((c) => c.name));
        const wanted = names.filter((name) => only.test(prefix + name));
        if (wanted.length > 0) works.push({ client, transport, tracks, prefix, wanted });
      }
    }
  }
  return works;
}

async function inParallel(n, queue) {
  const worker = async () => { for (let w; (w = queue.shift());) await run(w); };
  await Promise.all(Array.from({ length: n }, worker));
}

async function run(work) {
  const add = (verdict, name, why) => report.add(verdict, work.prefix + name, why);
  try {
    await chromium.run(work, add);
  } catch (e) {
    add("FAIL", `(the page of ${work.tracks})`, e.message);
  }
}
