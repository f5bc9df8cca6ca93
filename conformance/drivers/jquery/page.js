// The page's side of chromium.js.
import { Lane } from "./lane.js";
import { watchRequests } from "./requests.js";

watchRequests();

// runWork runs the wanted checks of a page's tracks with the scripts that the page has loaded.
export async function runWork({ tracks, wanted, ...work }) {
  const report = (verdict, name, why) => driver("report", verdict, name, why);
  await Promise.all(tracks.map((track) => new Lane({ ...work, track }).run((name) => wanted.includes(name), report)));
}

// openOne opens a connection that lives until the page is left.
export async function openOne({ tracks, ...work }) {
  await new Lane({ ...work, track: tracks[0] }).connect();
}
