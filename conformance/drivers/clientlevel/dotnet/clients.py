"""The clients that this driver has, and what each cannot be asked for."""

from dataclasses import dataclass

AUTOMATIC_RECONNECT = "this client has no automatic reconnect"
CLIENT_RESULTS = "this client cannot return results"
MESSAGEPACK = "this client has no messagepack package here"
STATEFUL_RECONNECT = "this client has no stateful reconnect"
TIMEOUTS = "this client cannot set its timeouts"
UPLOAD_STREAMS = "this client has no upload streams"


class Skip(Exception):
    """Raised by a task that the client has no feature for; its text says which."""


@dataclass(frozen=True)
class Client:
    """A version of a client: the folder among the peers that has it, and the flavour of the scenarios that it is for."""

    folder: str
    flavour: str
    lacks: frozenset = frozenset()

    def has(self, feature):
        return feature not in self.lacks

    def needs(self, feature):
        if not self.has(feature):
            raise Skip(feature)


CLIENTS = {
    "dotnet-11.0.0": Client("client-11.0.0", "core"),
    "dotnet-10.0.15": Client("client-10.0.15", "core"),
    "dotnet-9.0.23": Client("client-9.0.23", "core"),
    "dotnet-8.0.34": Client("client-8.0.34", "core"),
    "dotnet-6.0.1": Client("client-6.0.1", "core", frozenset({CLIENT_RESULTS, MESSAGEPACK, STATEFUL_RECONNECT})),
    "dotnet-1.2.14": Client(  # of the timeouts it can set the server's, not its own keep-alive interval
        "client-1.2.14", "core",
        frozenset({AUTOMATIC_RECONNECT, CLIENT_RESULTS, MESSAGEPACK, STATEFUL_RECONNECT, TIMEOUTS, UPLOAD_STREAMS}),
    ),
    "classic-2.4.2": Client("core", "legacy"),
}
