import { createRequire } from "node:module";
import { Net } from "./cutproxy.js";
import { Lane } from "./lane.js";
import { Mutex } from "./mutex.js";

const require = createRequire(import.meta.url);

// nodeWorld runs lanes in this process.
export async function nodeWorld() {
  const mutex = new Mutex();
  return {
    async run({ client, lane, wanted }, options, report) {
      const env = {
        signalR: require(client.library),
        msgpack: require(client.msgpack),
        can: client.can,
        inPage: false,
        net: async () => new Net(),
        locked: (f) => mutex.locked(f),
      };
      await new Lane(env, lane, options).run((name) => wanted.includes(name), report);
    },
    async close() {},
  };
}
