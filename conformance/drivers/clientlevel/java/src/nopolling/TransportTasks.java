package drivers;

import static drivers.Task.lives;

import java.util.Map;

/** Scenarios of a certain transport, for a client that has but one. */
final class TransportTasks implements TaskGroup {
    @Override
    public Map<String, Task> tasks() {
        return Map.of("skip-negotiation", lives(b -> b.shouldSkipNegotiate(true), Client::echoStop));
    }
}
