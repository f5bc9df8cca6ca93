// The published clients, by the names that `run` knows them by.
export const clients = [
  core("10.0.11"),
  core("8.0.29"),
  core("6.0.25"),
  core("3.1.31"),
  core("1.1.4"),
  { ...core("10.0.11"), name: "signalr-10.0.11-chromium", inPage: true },
  jquery("2.4.3"),
  jquery("2.4.2"),
  jquery("2.4.0"),
  jquery("2.3.0"),
  jquery("2.2.3"),
];

// A library is an npm alias of package.json, and scripts are what a page loads, in this order.
function core(version) {
  const library = "signalr-" + version, msgpack = "signalr-msgpack-" + version;
  const scripts = [library + "/dist/browser/signalr.js", msgpack + "/dist/browser/signalr-protocol-msgpack.js"];
  return { name: library, flavour: "core", version, library, msgpack, scripts, inPage: false };
}

function jquery(version) {
  const scripts = ["jquery/dist/jquery.js", `jquery-signalr-${version}/jquery.signalR.js`];
  return { name: "jquery-" + version, flavour: "legacy", version, scripts, inPage: true };
}
