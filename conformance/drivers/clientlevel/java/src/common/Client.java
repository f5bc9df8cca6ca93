package drivers;

import com.microsoft.signalr.HttpHubConnectionBuilder;
import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.UnaryOperator;

/** One client of a scenario's, and what comes for it. */
final class Client {
    final HubConnection hub;

    private final BlockingQueue<String> hellos = new LinkedBlockingQueue<>();
    private final CompletableFuture<String> closed = new CompletableFuture<>();

    Client(Scenario s) { this(s, b -> b); }

    Client(Scenario s, UnaryOperator<HttpHubConnectionBuilder> options) {
        hub = options.apply(Edition.inOrder(HubConnectionBuilder.create(s.url()))).build();
        hub.on("hello", hellos::add, String.class);
        hub.onClosed(e -> closed.complete(e == null ? "" : String.valueOf(e.getMessage())));
    }

    static UnaryOperator<HttpHubConnectionBuilder> token(String token) {
        return b -> b.withAccessTokenProvider(Edition.single(token));
    }

    Client start() {
        hub.start().blockingAwait();
        return this;
    }

    /** Starts, and gives the text of the error with which that fails. */
    String fail() throws Exception {
        CompletableFuture<String> failure = new CompletableFuture<>();
        hub.start().subscribe(() -> failure.completeExceptionally(new IllegalStateException("start did not fail")), e -> failure.complete(String.valueOf(e.getMessage())));
        return failure.get();
    }

    /**
     * Starts, waits until the connection has ended by itself, and gives the text of its error, "" for none. On a busy machine it may
     * have ended before start is through, which then fails.
     */
    String end() throws Exception {
        hub.start().onErrorComplete().blockingAwait();
        return closed.get();
    }

    /** Waits for the next call of hello, and gives its argument. */
    String hello() throws InterruptedException {
        for (;;) {
            String hello = hellos.poll(100, TimeUnit.MILLISECONDS);
            if (hello != null) return hello;
            if (closed.isDone()) throw new IllegalStateException("closed before hello: " + closed.join());
        }
    }

    void got(Object what) { hub.send("Got", what); }

    void echoStop() {
        got(hub.invoke(String.class, "Echo", "x").blockingGet());
        hub.stop().blockingAwait();
    }
}
