// The published clients that the battery runs with, and what each of them can do.
// Each is an npm alias in package.json; the scripts are its browser build, in the order a page loads them.
export const clients = [
  client(10, true),
  client(8, true),
  client(6, true),
  client(3, false),
  client(1, false),
];

// The transports and hub protocols of one client: its lanes. Server-sent events carry text only.
export const lanes = [
  { transport: "WebSockets", protocol: "json" },
  { transport: "WebSockets", protocol: "messagepack" },
  { transport: "ServerSentEvents", protocol: "json" },
  { transport: "LongPolling", protocol: "json" },
  { transport: "LongPolling", protocol: "messagepack" },
];

function client(major, ownCodec) {
  const library = "signalr-" + major, msgpack = "signalr-msgpack-" + major;
  return {
    major,
    library,
    msgpack,
    scripts: [
      library + "/dist/browser/signalr.js",
      ...(ownCodec ? [] : ["msgpack5/dist/msgpack5.js"]),
      msgpack + "/dist/browser/signalr-protocol-msgpack.js",
    ],
    can: {
      connectionId: major >= 3,
      upload: major >= 3,
      reconnect: major >= 3,
      headers: major >= 5,
      results: major >= 7,
      stateful: major >= 8,
    },
  };
}
