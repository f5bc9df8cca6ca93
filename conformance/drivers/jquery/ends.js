import { Skip, within } from "../js/battery.js";

// What the hub is told at the begin and end of a connection, by its counts of all clients.
export function addEnds(lane) {
  lane.alone("OnConnected, and OnDisconnected at stop", async () => {
    const before = await driver("stats");
    await lane.using({}, async (c) => {
      let started;
      await within(5, "OnConnected", async () => (started = await driver("stats")).connects > before.connects);
      await c.stop();
      await within(5, "OnDisconnected", async () => (await driver("stats")).disconnects > started.disconnects);
    });
  });
  lane.alone("OnDisconnected when the page is left", async () => {
    if (!lane.client.abortsOnUnload) throw new Skip("before 2.4.2 the abort of a page that is left is lost in Chromium");
    const { disconnects } = await driver("stats");
    await driver("leave");
    await within(5, "OnDisconnected", async () => (await driver("stats")).disconnects > disconnects);
  });
}
