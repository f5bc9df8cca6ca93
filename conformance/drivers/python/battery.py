"""A named list of checks, each of which prints one line; the last line is the tally."""

import queue
import re
import threading
import time
import uuid

# Several batteries may share a server: what is sent to many carries this mark, and what others sent is not seen.
MARK = "@" + uuid.uuid4().hex[:8]


class Skip(Exception):
    """Raised by a check that cannot be made here; its text says why."""


class Battery:
    def __init__(self, known_failing):
        self.checks = []
        self.after_failure = lambda: None
        self.known = []
        with open(known_failing, encoding="utf-8") as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    name, reason = line.strip().split(": ", 1)
                    self.known.append((re.compile(".*".join(map(re.escape, name.split("*")))), reason))

    def add(self, name, body, seconds=60):
        self.checks.append((name, body, seconds))

    def run(self, only):
        """Runs the checks whose names contain only, and gives the exit status."""
        count = {"ok": 0, "FAIL": 0, "skip": 0}
        for name, body, seconds in self.checks:
            if only not in name:
                continue
            verdict, why = self._verdict(body, seconds)
            reason = next((reason for pattern, reason in self.known if pattern.fullmatch(name)), None)
            if verdict == "FAIL":
                self._run_within(self.after_failure, 10)
            if reason and verdict == "FAIL":
                verdict, why = "skip", f"known failing: {reason} ({why})"
            elif reason and verdict == "ok":
                verdict, why = "FAIL", "listed in known-failing.txt, but it passes"
            count[verdict] += 1
            print(f"{verdict:4} {name}" + (": " + " ".join(why.split()) if why else ""), flush=True)
        if count["skip"]:
            print(f"({count['skip']} skipped)")
        print(f"{count['ok']} passed, {count['FAIL']} failed")
        return 1 if count["FAIL"] else 0

    def _verdict(self, body, seconds):
        error = self._run_within(body, seconds)
        if error is None:
            return "ok", None
        if isinstance(error, Skip):
            return "skip", str(error)
        return "FAIL", f"{type(error).__name__}: {error}"

    # The thread of a check that does not end is left behind; the process ends without it.
    @staticmethod
    def _run_within(body, seconds):
        ended = queue.Queue()

        def call():
            try:
                body()
                ended.put(None)
            except BaseException as e:  # the verdict is what a check raised, whatever it was
                ended.put(e)

        threading.Thread(target=call, daemon=True).start()
        try:
            return ended.get(timeout=seconds)
        except queue.Empty:
            return TimeoutError(f"no end within {seconds} s")


def eq(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}got «{brief(got)}», want «{brief(want)}»")


def brief(x):
    s = str(x)
    return s if len(s) <= 200 else f"{s[:200]}… ({len(s)} characters)"


def within(seconds, what, test):
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
