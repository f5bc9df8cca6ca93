import { taskName } from "./coretasks.js";

// What scenarios ask of a client that it has only since some version.
const features = {
  core: [
    {
      since: "3",
      lack: "this client has no automatic reconnect",
      scenarios: ["close-frames", "close-reconnect", "events-end", "pending-call", "polling-500", "redirect-reconnect"],
    },
    { since: "3", lack: "this client has no upload streams", scenarios: ["upload"] },
    { since: "3", lack: "this client is older than negotiate version 1", scenarios: ["negotiate-version-1"] },
    { since: "7", lack: "this client cannot return results", scenarios: ["client-result"] },
    {
      since: "8",
      lack: "this client has no stateful reconnect",
      scenarios: [
        "stateful", "stateful-ack", "stateful-acknowledged", "stateful-call", "stateful-close",
        "stateful-close-reconnect", "stateful-first", "stateful-refused", "stateful-sequence-too-high",
      ],
    },
  ],
  // Errors of the server's and redirects came with 2.0, the redirect's own query with 2.1 (legacy-client-protocol 2.2).
  legacy: [
    {
      since: "2.4.0",
      lack: "this client is older than protocol 2.0",
      scenarios: ["legacy-core-server", "legacy-error-frame", "legacy-negotiate-error", "legacy-redirect-loop"],
    },
    {
      since: "2.4.1",
      lack: "this client is older than protocol 2.1",
      scenarios: ["legacy-redirect", "legacy-redirect-no-token", "legacy-version-15", "legacy-version-21"],
    },
  ],
};

// lack gives the reason why a client cannot be asked to do a scenario, or undefined.
export function lack({ flavour, version }, scenario) {
  const older = (since) => version.localeCompare(since, "en", { numeric: true }) < 0;
  return features[flavour].find((f) => f.scenarios.includes(taskName(scenario)) && older(f.since))?.lack;
}
