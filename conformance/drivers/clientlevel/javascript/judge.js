import { lack } from "./features.js";
import { Report } from "../../js/report.js";

// judged has a client do its scenarios, in eight lanes of its world, and prints the verdicts of the judge at base. A lane goes on when its
// scenario has a verdict, for until then the judge watches what the client still does. judged returns the exit status.
export async function judged(client, world, base, only) {
  const get = async (path) => (await fetch(new URL(path, base))).json();
  const report = new Report(new URL("known-failing.txt", import.meta.url), client.name + "/");
  const queue = (await get("/scenarios")).filter((s) => s.flavour === client.flavour && s.name.includes(only));

  const lane = async () => {
    const run = await world.lane();
    for (let s; (s = queue.shift());) {
      const why = lack(client, s.name);
      if (why) {
        report.add("skip", s.name, why);
        continue;
      }
      const thrown = await Promise.race([run(s).then(() => "", (e) => e.message), after(20000, "the client's part took over 20 s")]);
      const v = await verdict(s);
      if (v.outcome === "passed") report.add("ok", s.name);
      else report.add("FAIL", s.name, [v.want && `want ${v.want}, got ${v.got}`, v.why, thrown].filter(Boolean).join("; "));
    }
  };
  const verdict = async ({ name }) => {
    for (;;) {
      const v = (await get("/verdicts")).results.find((r) => r.name === name);
      if (v.why !== "still running") return v;
      await after(200);
    }
  };

  await Promise.all(Array.from({ length: 8 }, lane));
  return report.end();
}

const after = (ms, value) => new Promise((resolve) => setTimeout(resolve, ms, value));
