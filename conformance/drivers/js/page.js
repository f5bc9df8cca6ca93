import { Lane } from "./lane.js";

// runLane is the page's side of chromium.js: it runs one lane with the library that the page's script tags brought.
export async function runLane({ client, lane, wanted, options }) {
  const env = {
    signalR: window.signalR,
    msgpack: window.signalR.protocols.msgpack,
    can: client.can,
    inPage: true,
    async net() {
      const net = await driver("net");
      return {
        through: (url) => driver("through", net, url),
        cut: () => driver("cut", net),
        blackout: (ms) => driver("blackout", net, ms),
        close: () => driver("closeNet", net),
      };
    },
    async locked(f) {
      const lock = await driver("lock");
      try { return await f(); } finally { await driver("unlock", lock); }
    },
  };
  await new Lane(env, lane, options).run((name) => wanted.includes(name), (verdict, name, why) => driver("report", verdict, name, why));
}
