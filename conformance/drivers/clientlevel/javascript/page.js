// The page's side of chromium.js: scripts of the page's have brought the client.
import { coreTask } from "./coretasks.js";
import { legacyTask } from "./legacytasks.js";

// run does a scenario.
export async function run(scenario) {
  const task = scenario.flavour === "core" ? coreTask(signalR, signalR.protocols.msgpack) : legacyTask;
  await task(scenario);
}
