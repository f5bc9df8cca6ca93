"""What the drivers in Python print: one line a scenario, and the tally."""

import re


class Report:
    """Prints and counts. What is listed as known to fail must fail: a listed scenario that passes fails the run."""

    def __init__(self, client, known_failing):
        self.client = client
        self.known = []
        self.count = {"ok": 0, "FAIL": 0, "skip": 0}
        for line in known_failing.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                name, reason = line.split(": ", 1)
                self.known.append((re.compile(".*".join(map(re.escape, name.split("*")))), reason))

    def add(self, verdict, name, why=""):
        reason = next((reason for pattern, reason in self.known if pattern.fullmatch(f"{self.client}/{name}")), None)
        if reason and verdict == "FAIL":
            verdict, why = "skip", f"known failing: {reason} ({why})"
        elif reason and verdict == "ok":
            verdict, why = "FAIL", "listed in known-failing.txt, but it passes"
        self.count[verdict] += 1
        print(f"{verdict:4} {name}" + (": " + " ".join(why.split()) if why else ""), flush=True)

    def end(self):
        """Prints the tally and gives the exit status."""
        if self.count["skip"]:
            print(f"({self.count['skip']} skipped)")
        print(f"{self.count['ok']} passed, {self.count['FAIL']} failed", flush=True)
        return 1 if self.count["FAIL"] else 0
