package drivers;

import java.util.Map;
import java.util.concurrent.CompletableFuture;

/** The scenario of a server that asks the client. */
final class ResultTasks implements TaskGroup {
    @Override
    public Map<String, Task> tasks() {
        return Map.of("client-result", s -> {
            Client c = new Client(s);
            CompletableFuture<Boolean> go = new CompletableFuture<>();
            c.hub.onWithResult("ask", x -> Edition.single(x + 1), Integer.class);
            c.hub.on("go", () -> go.complete(true));
            c.start();
            go.get();
            c.echoStop();
        });
    }
}
