package drivers;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.microsoft.signalr.HttpHubConnectionBuilder;
import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.HubConnectionBuilder;
import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Single;
import java.lang.reflect.Type;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import okhttp3.Interceptor;
import okhttp3.Response;
import okhttp3.ResponseBody;

/** One client of the chat hub, with what it was told. */
final class Client {
    /** Several batteries may share a server: what is sent to many carries this mark, and what others sent is not seen. */
    static final String MARK = "@" + UUID.randomUUID().toString().substring(0, 8);

    final HubConnection hub;
    final Net net;
    final BlockingQueue<String> messages = new LinkedBlockingQueue<>();
    final BlockingQueue<String> welcomes = new LinkedBlockingQueue<>();
    final BlockingQueue<String> closes = new LinkedBlockingQueue<>(); // the errors' texts, or ""

    /** Starts a client; a cuttable one goes through a Net. */
    Client(String url, TransportEnum transport, String query, boolean cuttable) throws Exception {
        net = cuttable ? new Net() : null;
        String u = url + (query.isEmpty() ? "" : (url.contains("?") ? "&" : "?") + query);
        HttpHubConnectionBuilder b = HubConnectionBuilder.create(cuttable ? net.through(u) : u)
            .withTransport(transport).withHeader("X-Test", "seen");
        if (cuttable) b.setHttpClientBuilderCallback(o -> o.addInterceptor(this::redirect));
        hub = b.build();
        hub.on("message", this::receive, String.class);
        hub.on("welcome", welcomes::add, String.class);
        hub.onWithResult("question", q -> {
            if (q.equals("throw")) throw new RuntimeException("client refuses");
            return Single.just("answer to " + q);
        }, String.class);
        hub.onClosed(e -> closes.add(e == null ? "" : String.valueOf(e.getMessage())));
        start();
    }

    void start() {
        if (!hub.start().blockingAwait(20, TimeUnit.SECONDS)) throw new IllegalStateException("not connected within 20 s");
    }

    /** Stops, and waits until the client says that it is closed. A server that drops the socket at once makes stop itself fail, after that. */
    void stop() throws Exception {
        hub.stop().onErrorComplete().blockingAwait(10, TimeUnit.SECONDS);
        closed();
    }

    // Leads a negotiate answer's redirect through the client's Net.
    private Response redirect(Interceptor.Chain chain) throws java.io.IOException {
        Response r = chain.proceed(chain.request());
        if (!chain.request().url().encodedPath().endsWith("/negotiate") || r.code() != 200) return r;
        JsonObject answer = JsonParser.parseString(r.body().string()).getAsJsonObject();
        if (answer.has("url")) answer.addProperty("url", net.through(answer.get("url").getAsString()));
        return r.newBuilder().body(ResponseBody.create(answer.toString(), r.body().contentType())).build();
    }

    private void receive(String m) {
        int at = m.lastIndexOf('@');
        if (at < 0) messages.add(m);
        else if (m.substring(at).equals(MARK)) messages.add(m.substring(0, at));
    }

    <T> T ask(Type type, String method, Object... args) {
        return hub.<T>invoke(type, method, args).timeout(15, TimeUnit.SECONDS).blockingGet();
    }

    String text(String method, Object... args) { return ask(String.class, method, args); }
    int number(String method, Object... args) { return ask(Integer.class, method, args); }

    /** Invokes a method; the message of a Send method, its last argument, is marked. */
    void tell(String method, Object... args) {
        if (method.startsWith("Send")) args[args.length - 1] += MARK;
        if (!hub.invoke(method, args).blockingAwait(15, TimeUnit.SECONDS)) throw new IllegalStateException("no answer to " + method + " within 15 s");
    }

    String id() { return text("MyId"); }

    /** Gives the oldest message, or null when none comes within ms. */
    String next(long ms) throws InterruptedException { return messages.poll(ms, TimeUnit.MILLISECONDS); }
    String next() throws InterruptedException { return next(10000); }

    String closed() throws Exception {
        String why = closes.poll(15, TimeUnit.SECONDS);
        if (why == null) throw new Exception("not closed within 15 s");
        return why;
    }

    void dispose() {
        try { hub.stop().blockingAwait(5, TimeUnit.SECONDS); } catch (RuntimeException ignored) { }
        if (net != null) net.close();
    }
}
