import { eq, pause } from "../js/battery.js";

// A connection that has nothing to say, but for keep-alives: its client finds the silence long after 13 s, and after 20 s too long.
export function addIdle(lane) {
  lane.alone("idle 30 s", async () => {
    await lane.using(await lane.ownNet({ query: "user=idle" }), async (c) => {
      const { id } = c;
      await pause(30000);
      eq(JSON.stringify(c.events), `{"reconnecting":0,"reconnected":0,"disconnected":0,"connectionSlow":0}`, "events: ");
      eq(await c.ask("MyId"), id);
      await c.tell("SendCaller", "still here");
      eq(await c.next(), "still here");
    });
  }, 60);
}
