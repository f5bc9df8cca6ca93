import { eq } from "../js/battery.js";

// What "auto" takes where the browser lacks its first choices.
export function addFallbacks(lane) {
  for (const [transport, ...missing] of [["serverSentEvents", "WebSocket"], ["longPolling", "WebSocket", "EventSource"]]) {
    lane.alone("falls back to " + transport, () => without(missing, () => lane.using({}, async (c) => {
      eq(c.hub.transport.name, transport);
      eq(await c.ask("Echo", "fallen"), "fallen");
    })));
  }
}

// without runs f in a browser that lacks these.
async function without(names, f) {
  const kept = names.map((name) => window[name]);
  for (const name of names) window[name] = undefined;
  try { await f(); } finally { names.forEach((name, i) => { window[name] = kept[i]; }); }
}
