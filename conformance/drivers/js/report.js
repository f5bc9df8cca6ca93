import { readFileSync } from "node:fs";

// Report prints one line a check and counts. What known-failing.txt lists must fail: a listed check that passes fails the run.
export class Report {
  #known;
  #prefix;
  passed = 0;
  failed = 0;
  skipped = 0;

  // What is listed has the prefix in front of its name, where that is given: a list may be of several clients.
  constructor(knownFailing, prefix = "") {
    this.#known = parse(readFileSync(knownFailing, "utf8"));
    this.#prefix = prefix;
  }

  add(verdict, name, why) {
    const known = this.#known.find((k) => k.pattern.test(this.#prefix + name));
    if (known && verdict === "FAIL") [verdict, why] = ["skip", `known failing: ${known.reason} (${why})`];
    else if (known && verdict === "ok") [verdict, why] = ["FAIL", "listed in known-failing.txt, but it passes"];
    if (verdict === "ok") this.passed++;
    else if (verdict === "skip") this.skipped++;
    else this.failed++;
    console.log(verdict.padEnd(4) + " " + name + (why ? ": " + why.replaceAll(/\s+/g, " ") : ""));
  }

  // end prints the tally and gives the exit status.
  end() {
    if (this.skipped > 0) console.log(`(${this.skipped} skipped)`);
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 ? 0 : 1;
  }
}

// Each line is "name: reason"; in the name * stands for anything.
function parse(text) {
  return text.split("\n").filter((l) => l.trim() && !l.startsWith("#")).map((line) => {
    const at = line.indexOf(": ");
    if (at < 0) throw new Error("known-failing.txt: no reason in: " + line);
    const parts = line.slice(0, at).split("*").map((p) => p.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    return { pattern: new RegExp(`^${parts.join(".*")}$`), reason: line.slice(at + 2) };
  });
}
