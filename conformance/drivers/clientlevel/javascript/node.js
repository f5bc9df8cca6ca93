import { createRequire } from "node:module";
import { coreTask } from "./coretasks.js";

const require = createRequire(import.meta.url);

// open makes the world of a client that runs in this process. A lane is a function that does a scenario.
export function open({ library, msgpack }) {
  // 3.1 and 1.1 throw a refused handshake, and what they cannot read, into the WebSocket's events, where only the process can catch it.
  process.on("uncaughtException", (e) => console.error(`${library} threw: ${e.message}`));
  const task = coreTask(require(library), require(msgpack));
  return { lane: () => async (scenario) => task(scenario), close() {} };
}
