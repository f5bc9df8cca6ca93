// Mutex lets one holder in at a time, in the order of asking.
export class Mutex {
  #last = Promise.resolve();

  // lock resolves to the function that unlocks.
  async lock() {
    const before = this.#last;
    let unlock;
    this.#last = new Promise((resolve) => { unlock = resolve; });
    await before;
    return unlock;
  }

  async locked(f) {
    const unlock = await this.lock();
    try { return await f(); } finally { unlock(); }
  }
}
