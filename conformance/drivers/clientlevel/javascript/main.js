// Usage: main.js CLIENT URL [NAME-PART], or main.js --list.
import { clients } from "./clients.js";
import { judged } from "./judge.js";

process.exit(await main(process.argv.slice(2)).catch((e) => { console.error(e); return 1; }));

async function main([name, url, only = ""]) {
  if (name === "--list") {
    for (const c of clients) console.log(c.name);
    return 0;
  }
  const client = clients.find((c) => c.name === name);
  if (!client || !URL.canParse(url)) {
    console.error("usage: run CLIENT URL [NAME-PART], where CLIENT is one of run --list");
    return 2;
  }
  // Only what the client runs in is loaded.
  const { open } = await import(client.inPage ? "./chromium.js" : "./node.js");
  const world = await open(client);
  try {
    return await judged(client, world, url, only);
  } finally {
    await world.close();
  }
}
