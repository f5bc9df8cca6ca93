package drivers;

import static drivers.Task.lives;

import java.util.Map;

/** Scenarios of streams, both ways. */
final class StreamTasks implements TaskGroup {
    @Override
    public Map<String, Task> tasks() {
        return Map.of(
            "stream", lives(c -> {
                c.got(c.hub.stream(Integer.class, "Count", 3).toList().blockingGet());
                c.echoStop();
            }),
            "stream-cancel", lives(c -> {
                c.hub.stream(Integer.class, "Forever").take(2).ignoreElements().blockingAwait();
                c.echoStop();
            }),
            "upload", lives(c -> {
                c.hub.invoke(Integer.class, "Sum", Edition.range(1, 3)).blockingGet();
                c.echoStop();
            }));
    }
}
