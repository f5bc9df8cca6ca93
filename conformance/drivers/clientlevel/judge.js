import { Report } from "../js/report.js";

// runTasks does the tasks of one flavour, eight at a time, asks the judge for its verdicts and prints them. A scenario without a task
// fails, for the judge asks nothing that the client cannot do.
export async function runTasks(flavour, tasks, knownFailing) {
  const [base, only = ""] = process.argv.slice(2), report = new Report(knownFailing);
  const get = async (path) => (await fetch(new URL(path, base))).json();
  const scenarios = (await get("/scenarios")).filter((s) => s.flavour === flavour && s.name.includes(only));
  const queue = [...scenarios], thrown = new Map();
  const work = async () => {
    for (let s; (s = queue.shift());) {
      await Promise.race([Promise.resolve().then(() => tasks[s.name](s)).catch((e) => thrown.set(s.name, e.message)), after(20000)]);
    }
  };
  await Promise.all(Array.from({ length: 8 }, work));
  const names = new Set(scenarios.map((s) => s.name));
  let verdicts;
  do {
    await after(300);
    verdicts = (await get("/verdicts")).results.filter((v) => names.has(v.name));
  } while (verdicts.some((v) => v.why === "still running"));
  for (const v of verdicts) {
    if (v.outcome === "passed") report.add("ok", v.name);
    else report.add("FAIL", v.name, [v.want && `want ${v.want}, got ${v.got}`, v.why, thrown.get(v.name)].filter(Boolean).join("; "));
  }
  return report.end();
}

const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
