// What every check is written with; it runs in Node and in a page alike.

// Skip is thrown by a check that cannot be made here; its message says why.
export class Skip extends Error {}

// runChecks runs checks in their order; report gets ("ok" | "FAIL" | "skip", name, why).
export async function runChecks(checks, report, afterFailure) {
  for (const { name, seconds, body } of checks) {
    try {
      await soon(body(), "the end of the check", seconds);
      report("ok", name);
    } catch (e) {
      if (e instanceof Skip) {
        report("skip", name, e.message);
        continue;
      }
      report("FAIL", name, e instanceof Error ? e.message : String(e));
      await soon(afterFailure(), "the clients' end", 10).catch(() => {});
    }
  }
}

// Inbox keeps what a client was sent until a check takes it.
export class Inbox {
  #items = [];
  #waiting = null;

  get size() { return this.#items.length; }

  push(item) {
    this.#items.push(item);
    this.#waiting?.();
  }

  // next gives the oldest item, or null when none comes within ms.
  async next(ms = 10000) {
    if (this.#items.length === 0 && ms > 0) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#waiting = () => { clearTimeout(timer); resolve(); };
      });
      this.#waiting = null;
    }
    return this.#items.length > 0 ? this.#items.shift() : null;
  }

  async take(n, ms = 10000) {
    const taken = [];
    while (taken.length < n) {
      const item = await this.next(ms);
      if (item === null) break;
      taken.push(item);
    }
    return taken;
  }
}

// Deferred is a promise that is settled from outside; only the first settling counts.
export class Deferred {
  constructor() {
    this.settled = false;
    this.promise = new Promise((resolve) => { this.resolve = (v) => { this.settled = true; resolve(v); }; });
  }
}

export function eq(got, want, what = "") {
  if (!Object.is(got, want)) throw new Error(`${what}got «${short(got)}», want «${short(want)}»`);
}

export function eqAll(got, want, what) {
  got = [...got]; want = [...want];
  const at = want.findIndex((w, i) => !Object.is(got[i], w));
  if (at < 0 && got.length === want.length) return;
  const g = new Set(got), lost = want.filter((w) => !g.has(w)), twice = got.filter((x, i) => got.indexOf(x) !== i);
  throw new Error(`${what}: ${got.length} of ${want.length}` + (at < 0 ? "" : `, number ${at} is «${short(got[at])}», want «${short(want[at])}»`) +
    `; lost: ${few(lost)}; doubled: ${few(twice)}`);
}

// fails wants the promise to be rejected, with text in the message and without not.
export async function fails(promise, text = "", not = null) {
  let message;
  try {
    await promise;
  } catch (e) {
    message = e.message;
  }
  if (message === undefined) throw new Error("no error");
  if (!message.includes(text)) throw new Error("the error's text is: " + message);
  if (not !== null && message.includes(not)) throw new Error("leaked: " + message);
}

export async function soon(promise, what, seconds = 10) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(`not within ${seconds} s: ${what}`)), seconds * 1000); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export async function within(seconds, what, test) {
  const end = Date.now() + seconds * 1000;
  while (!await test()) {
    if (Date.now() > end) throw new Error(`not within ${seconds} s: ${what}`);
    await pause(50);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const range = (n, f = (i) => i) => Array.from({ length: n }, (_, i) => f(i));

function short(x) {
  const s = typeof x === "string" ? x : String(x);
  return s.length <= 200 ? s : `${s.slice(0, 200)}… (${s.length} characters)`;
}

function few(items) {
  return items.length === 0 ? "none" : items.slice(0, 8).map(short).join(" ") + (items.length > 8 ? ` … ${items.length}` : "");
}
