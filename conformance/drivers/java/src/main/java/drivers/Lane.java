package drivers;

import static drivers.Battery.eq;
import static drivers.Battery.fails;
import static drivers.Battery.soon;

import com.microsoft.signalr.TransportEnum;
import io.reactivex.rxjava3.core.Observable;
import io.reactivex.rxjava3.core.Single;
import io.reactivex.rxjava3.disposables.Disposable;
import io.reactivex.rxjava3.subjects.PublishSubject;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/** The checks of one transport, with three clients that live from check to check (anew after a failure). */
final class Lane {
    static final class Point { int x, y; String label; }
    static final class Table { List<String> names; Map<String, Double> values; String raw, when; long large; boolean yes; String nothing; }

    private static final String CANNOT_ASK = "client results are not in this SDK";
    private static final long SILENCE = 300; // ms for which the absence of a message is watched

    final String prefix;
    private final Battery battery;
    private final String url;
    private final TransportEnum transport;
    private final boolean polling, slow;
    private final HttpClient http = HttpClient.newHttpClient();
    private Client a, b, d; // a is alice, b and d are bob

    Lane(Battery battery, String url, TransportEnum transport, boolean slow) {
        this.battery = battery;
        this.url = url;
        this.transport = transport;
        this.slow = slow;
        polling = transport == TransportEnum.LONG_POLLING;
        prefix = (polling ? "LongPolling" : "WebSockets") + "/json ";
        calls();
        sends();
        streams();
        lives();
    }

    private void check(String name, Battery.Body body) { battery.add(prefix + name, 60, () -> { open(); body.run(); }); }
    private void alone(String name, Battery.Body body) { battery.add(prefix + name, 90, body); }

    private interface With { void run(Client c) throws Exception; }
    private void using(String query, boolean cuttable, With body) throws Exception {
        Client c = new Client(url, transport, query, cuttable);
        try { body.run(c); } finally { c.dispose(); }
    }

    private void open() throws Exception {
        if (a != null) return;
        Client[] c = new Client[3];
        String[] queries = {"user=alice&colour=red", "user=bob", "user=bob"};
        for (int i = 0; i < 3; i++) c[i] = new Client(url, transport, queries[i], false);
        a = c[0];
        b = c[1];
        d = c[2];
    }

    void close() {
        for (Client c : new Client[] {a, b, d}) if (c != null) c.dispose();
        a = b = d = null;
    }

    private String request(String method, String path) throws Exception {
        URI u = URI.create(url).resolve("/backend/" + path + (path.contains("?m=") ? Client.MARK : ""));
        return http.send(HttpRequest.newBuilder(u).method(method, HttpRequest.BodyPublishers.noBody()).build(), BodyHandlers.ofString()).body();
    }
    private boolean isHere(String id) throws Exception { return Arrays.asList(request("GET", "connections").split("\n")).contains(id); }

    private static String answered(String r) {
        if (r.contains(CANNOT_ASK)) throw new Battery.Skip("the app says: " + CANNOT_ASK);
        return r;
    }

    private void calls() {
        check("welcome message", () -> {
            String id = a.welcomes.poll(10, TimeUnit.SECONDS);
            eq(id, a.id());
            a.welcomes.add(id);
        });
        check("connection id", () -> eq(a.id(), a.hub.getConnectionId()));
        check("echo", () -> { String s = "héllo ☃ 𝄞 \" \\ \u001e \0 end"; eq(a.text("Echo", s), s); });
        check("null", () -> eq(a.hub.invoke(String.class, "Echo", new Object[] {null}).timeout(3, TimeUnit.SECONDS).blockingGet(), null));
        check("numbers", () -> eq(a.number("Add", 2, 40), 42));
        check("objects", () -> {
            Point p = new Point();
            p.x = 1;
            p.y = 2;
            p.label = "p";
            Point q = a.ask(Point.class, "Mirror", p);
            eq(q.x + " " + q.y + " " + q.label, "2 1 p");
        });
        check("nested object", () -> {
            Table t = new Table();
            t.names = List.of("a", "ö", "");
            t.values = Map.of("half", 0.5, "many", 1e300);
            t.raw = "AAH/";
            t.when = "2026-02-28T23:59:58.123Z";
            t.large = Long.MAX_VALUE;
            t.yes = true;
            Table s = a.ask(Table.class, "Same", t);
            eq(s.names, t.names);
            eq(s.values, t.values);
            eq(s.raw, t.raw);
            eq(s.when, t.when);
            eq(s.large, t.large);
            eq(s.yes, true);
            eq(s.nothing, null);
        });
        check("bytes", () -> {
            byte[] up = new byte[256], down = new byte[256];
            for (int i = 0; i < 256; i++) { up[i] = (byte) i; down[i] = (byte) (255 - i); }
            eq(a.text("Backwards", Base64.getEncoder().encodeToString(up)), Base64.getEncoder().encodeToString(down));
        });
        check("void", () -> a.tell("Nothing"));
        check("hub exception", () -> fails(() -> a.text("Fail"), "told you so", null));
        check("hidden exception", () -> fails(() -> a.text("Crash"), "", "secret"));
        check("unknown method", () -> fails(() -> a.text("Nowhere"), "Method does not exist", null));
        check("wrong arguments", () -> fails(() -> a.number("Add", "two", 40), "", null));
        check("user id", () -> eq(a.text("MyUser"), "alice"));
        check("role", () -> { eq(a.ask(Boolean.class, "InRole", "tester"), true); eq(a.ask(Boolean.class, "InRole", "boss"), false); });
        check("claim", () -> eq(a.text("Claim", "favourite"), "blue"));
        alone("anonymous", () -> using("", false, c -> eq(c.ask(Boolean.class, "Authenticated"), false)));
        check("query string", () -> eq(a.text("Query", "colour"), "red"));
        check("request header", () -> eq(a.text("Header", "X-Test"), "seen"));
        check("path", () -> eq(a.text("Path"), URI.create(url).getPath()));
        check("big down 1 MB", () -> eq(a.text("Big", 1_000_000).length(), 1_000_000));
        check("big up 500 kB", () -> eq(a.number("Length", "q".repeat(500_000)), 500_000));
        check("200 invocations at once", () -> {
            List<Single<String>> all = IntStream.range(0, 200).mapToObj(i -> a.hub.invoke(String.class, "Echo", "c" + i)).toList();
            for (int i = 0; i < 200; i++) eq(all.get(i).timeout(20, TimeUnit.SECONDS).blockingGet(), "c" + i);
        });
    }

    // Wants message to come to these clients, and to no other.
    private void sent(String message, Client... to) throws Exception {
        for (Client c : to) eq(c.next(), message);
        for (Client c : new Client[] {a, b, d}) if (!Arrays.asList(to).contains(c)) eq(c.next(SILENCE), null, "a message for others: ");
    }

    private void sends() {
        check("send all", () -> { a.tell("SendAll", "m1"); sent("m1", a, b, d); });
        check("send others", () -> { a.tell("SendOthers", "m2"); sent("m2", b, d); });
        check("send caller", () -> { a.tell("SendCaller", "m3"); sent("m3", a); });
        check("send client", () -> { a.tell("SendClient", b.id(), "m4"); sent("m4", b); });
        check("send clients", () -> { a.tell("SendClients", new String[] {a.id(), d.id()}, "m5"); sent("m5", a, d); });
        check("send all except", () -> { a.tell("SendAllExcept", new String[] {b.id()}, "m6"); sent("m6", a, d); });
        check("send user", () -> { a.tell("SendUser", "bob", "m7"); sent("m7", b, d); });
        check("send users", () -> { a.tell("SendUsers", new String[] {"alice", "bob"}, "m8"); sent("m8", a, b, d); });
        check("group", () -> {
            a.tell("Join", "g");
            b.tell("Join", "g");
            d.tell("SendGroup", "g", "g1");
            sent("g1", a, b);
            a.tell("SendOthersInGroup", "g", "g2");
            sent("g2", b);
            a.tell("SendGroupExcept", "g", new String[] {b.id()}, "g3");
            sent("g3", a);
            b.tell("Leave", "g");
            a.tell("SendGroup", "g", "g4");
            sent("g4", a);
            a.tell("JoinOther", d.id(), "h");
            a.tell("SendGroups", new String[] {"g", "h"}, "g5");
            sent("g5", a, d);
            a.tell("Leave", "g");
        });
        check("odd group names", () -> {
            for (String name : List.of("with space", "ünï/cödé?&=#", "UPPER", "n".repeat(500))) {
                a.tell("Join", name);
                b.tell("SendGroup", name, "in");
                sent("in", a);
                a.tell("Leave", name);
                b.tell("SendGroup", name, "out");
                sent("out");
            }
        });
        check("order of 5000 down", () -> {
            a.hub.send("Burst", 5000);
            for (int i = 0; i < 5000; i++) eq(a.next(), "b" + i);
        });
        check("backend", () -> {
            String id = a.id();
            request("POST", "all?m=x1");
            sent("x1", a, b, d);
            request("POST", "user/alice?m=x2");
            sent("x2", a);
            request("POST", "client/" + id + "?m=x3");
            sent("x3", a);
            request("POST", "join/" + id + "/bg");
            request("POST", "group/bg?m=x4");
            sent("x4", a);
            request("POST", "leave/" + id + "/bg");
            request("POST", "group/bg?m=x5");
            sent("x5");
        });
    }

    private static List<Integer> numbers(int n, int step) { return IntStream.range(0, n).map(i -> i * step).boxed().toList(); }

    // Over long polling this client's POSTs overtake each other, so items come in any order, and after the stream's end.
    private void upload(String name, Battery.Body body) {
        check(name, () -> {
            if (polling) throw new Battery.Skip("this client does not keep the order of its POSTs");
            body.run();
        });
    }

    private void streams() {
        check("stream", () -> eq(a.hub.stream(Integer.class, "Counter", 50, 0).timeout(10, TimeUnit.SECONDS).toList().blockingGet(), numbers(50, 1)));
        check("stream cancel", () -> {
            int before = a.number("Streams");
            List<Integer> got = new CopyOnWriteArrayList<>();
            Disposable s = a.hub.stream(Integer.class, "Counter", 1_000_000, 5).subscribe(got::add);
            soon(10, "five items", () -> got.size() >= 5);
            s.dispose();
            soon(5, "the hub's stream ends", () -> a.number("Streams") > before);
        });
        check("stream error", () -> {
            List<Integer> got = new ArrayList<>();
            fails(() -> a.hub.stream(Integer.class, "CounterFail", 3).doOnNext(got::add).ignoreElements().timeout(10, TimeUnit.SECONDS).blockingAwait(), "stream broke", null);
            eq(got, numbers(3, 1));
        });
        upload("upload stream", () -> eq(a.number("Sum", Observable.range(1, 100)), 5050));
        upload("two uploads at once", () -> {
            Single<Integer> one = a.hub.invoke(Integer.class, "Sum", Observable.range(1, 100)), two = a.hub.invoke(Integer.class, "Sum", Observable.range(1, 200));
            eq(one.timeout(10, TimeUnit.SECONDS).blockingGet(), 5050);
            eq(two.timeout(10, TimeUnit.SECONDS).blockingGet(), 20100);
        });
        upload("both ways stream", () -> {
            PublishSubject<Integer> up = PublishSubject.create();
            List<Integer> got = new CopyOnWriteArrayList<>();
            Disposable s = a.hub.stream(Integer.class, "Double", up).subscribe(got::add);
            for (int i = 0; i < 500; i++) up.onNext(i);
            up.onComplete();
            soon(20, "500 items", () -> got.size() >= 500);
            eq(got, numbers(500, 2));
            s.dispose();
        });
        upload("order of 5000 up", () -> {
            Single<Integer> n = a.hub.invoke(Integer.class, "Relay", Observable.range(0, 5000).map(i -> "u" + i));
            for (int i = 0; i < 5000; i++) eq(a.next(), "u" + i);
            eq(n.timeout(10, TimeUnit.SECONDS).blockingGet(), 5000);
        });
        check("client result", () -> eq(answered(b.text("Ask", a.id(), "why")), "answer to why"));
        check("client result error", () -> {
            String r = answered(b.text("Ask", a.id(), "throw"));
            if (!r.startsWith("error") || !r.contains("client refuses")) throw new AssertionError("got: " + r);
        });
        check("backend asks a client", () -> eq(answered(request("POST", "ask/" + a.id() + "?q=bq")), "answer to bq"));
    }

    private void lives() {
        alone("hub refuses in OnConnectedAsync", () -> {
            String why;
            try {
                Client c = new Client(url, transport, "refuse=yes", false);
                why = c.closed();
                c.dispose();
            } catch (RuntimeException e) {
                why = String.valueOf(e.getMessage());
            }
            if (!why.contains("not you")) throw new AssertionError("closed with: " + why);
        });
        alone("server abort closes", () -> using("", false, c -> { c.hub.send("Abort"); c.closed(); }));
        alone("backend closes a client", () -> using("", false, c -> {
            String id = c.id();
            request("POST", "close/" + id);
            c.closed();
            soon(10, "gone at the hub", () -> !isHere(id));
        }));
        alone("too big up closes", () -> using("", false, c -> { c.hub.send("Length", "q".repeat(3_000_000)); c.closed(); }));
        alone("stop", () -> using("", false, c -> {
            String id = c.id();
            eq(isHere(id), true, "known at the hub: ");
            c.stop();
            soon(10, "OnDisconnectedAsync", () -> !isHere(id));
            eq(request("GET", "ended/" + id), "clean");
        }));
        alone("start again after stop", () -> using("", false, c -> {
            String id = c.id();
            c.stop();
            c.start();
            if (c.id().equals(id)) throw new AssertionError("same connection id");
        }));
        alone("cut and manual reconnect", () -> using("user=erin", true, c -> {
            String id = c.id();
            c.tell("Join", "before");
            c.net.blackout(500);
            c.closed();
            c.start();
            if (c.id().equals(id)) throw new AssertionError("same connection id");
            eq(c.text("MyUser"), "erin");
            c.tell("SendCaller", "again");
            eq(c.next(), "again");
            c.tell("SendGroup", "before", "old group");
            eq(c.next(SILENCE), null);
            soon(polling ? 40 : 10, "the old one's OnDisconnectedAsync", () -> !isHere(id));
        }));
        alone("idle 40 s", () -> {
            if (!slow) throw new Battery.Skip("only with --slow");
            using("user=idle", false, c -> {
                String id = c.id();
                Thread.sleep(40_000);
                eq(c.closes.peek(), null, "closed: ");
                eq(c.id(), id);
            });
        });
    }
}
