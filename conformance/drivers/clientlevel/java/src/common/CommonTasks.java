package drivers;

import static drivers.Task.closes;
import static drivers.Task.echoes;
import static drivers.Task.fails;
import static drivers.Task.greeted;
import static drivers.Task.lives;

import java.util.HashMap;
import java.util.Map;

/** Scenarios for which a client of any version has what it takes. */
final class CommonTasks implements TaskGroup {
    private final Map<String, Task> all = new HashMap<>();

    @Override
    public Map<String, Task> tasks() {
        opening();
        messages();
        calls();
        ends();
        timers();
        return all;
    }

    private void opening() {
        all.put("websockets", greeted());
        all.put("negotiate-version-0", echoes());
        all.put("negotiate-version-1", echoes());
        all.put("negotiate-headers", echoes());
        all.put("negotiate-error", fails());
        all.put("negotiate-404", fails());
        all.put("negotiate-401", fails("test-token"));
        all.put("negotiate-old-server", fails());
        all.put("cookie", echoes());
        all.put("token-websockets", echoes("tok+/=1"));
        all.put("redirect", echoes("app-token"));
        all.put("redirect-bare", echoes());
        all.put("redirect-no-token", echoes("app-token"));
        all.put("redirect-loop", fails());
        all.put("handshake-error", fails());
        all.put("handshake-joined", greeted());
        all.put("handshake-split", echoes());
    }

    private void messages() {
        all.put("message-split", greeted());
        all.put("messages-joined", lives(c -> {
            for (int i = 0; i < 3; i++) c.got(Integer.valueOf(c.hello()));
            c.echoStop();
        }));
        all.put("frames", greeted());
        all.put("unknown-type", echoes());
        all.put("unknown-call", echoes());
        all.put("unknown-members", greeted());
    }

    private void calls() {
        all.put("send", lives(c -> {
            c.got("there");
            c.echoStop();
        }));
        all.put("answers-swapped", lives(c -> {
            for (String method : new String[] {"One", "Two"}) c.hub.invoke(String.class, method).subscribe(c::got, e -> { });
        }));
        all.put("completion-unknown", echoes());
        all.put("completion-null", lives(c -> {
            c.got(c.hub.invoke(Integer.class, "Five").blockingGet());
            c.echoStop();
        }));
        all.put("completion-error", lives(c -> {
            c.got(c.hub.invoke(Boolean.class, "Fail").onErrorReturnItem(true).blockingGet());
            c.echoStop();
        }));
    }

    private void ends() {
        all.put("close", closes());
        all.put("close-error", s -> s.say(new Client(s).end()));
        all.put("close-no-reconnect", closes());
        all.put("stop-in-negotiate", s -> {
            Client c = new Client(s);
            c.hub.start().subscribe(() -> { }, e -> { });
            Thread.sleep(200); // as the scenario wants it
            c.hub.stop().blockingAwait();
        });
    }

    private void timers() {
        all.put("keep-alive", s -> {
            Client c = new Client(s);
            c.hub.setKeepAliveInterval(300);
            untilHello(c);
        });
        all.put("server-timeout", s -> {
            Client c = new Client(s);
            c.hub.setServerTimeout(1000);
            c.start();
        });
        all.put("server-alive", s -> {
            Client c = new Client(s);
            c.hub.setServerTimeout(1000);
            untilHello(c);
        });
    }

    private static void untilHello(Client c) throws Exception {
        c.start().hello();
        c.echoStop();
    }
}
