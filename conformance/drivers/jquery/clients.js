// The published clients that the battery runs with, each with the jQuery that its page loads first. Scripts are paths in node_modules.
export const clients = [
  client("2.4.3", "3"),
  client("2.4.2", "3"),
  client("2.4.0", "3"),
  client("2.3.0", "3"),
  client("2.2.3", "3"),
  client("2.2.3", "1", "2.2.3/jquery-1.12.4"),
];

// "auto" leaves the choice to the client.
export const transports = ["webSockets", "serverSentEvents", "longPolling", "foreverFrame", "auto"];

function client(version, jQuery, name = version) {
  return {
    name,
    version,
    scripts: [`jquery-${jQuery}/dist/jquery.js`, `signalr-${version}/jquery.signalR.js`],
    followsRedirect: version >= "2.4.0", // legacy-client-protocol 2.2
    abortsOnUnload: version >= "2.4.2", // field-notes 4
  };
}
