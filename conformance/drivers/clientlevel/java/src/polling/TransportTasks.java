package drivers;

import static drivers.Task.closes;
import static drivers.Task.echoes;
import static drivers.Task.fails;
import static drivers.Task.greeted;
import static drivers.Task.lives;

import com.microsoft.signalr.TransportEnum;
import java.util.Map;

/** Scenarios of a certain transport. A client that may use any takes long polling where the judge offers nothing else. */
final class TransportTasks implements TaskGroup {
    @Override
    public Map<String, Task> tasks() {
        return Map.of(
            "skip-negotiation", lives(b -> b.withTransport(TransportEnum.WEBSOCKETS).shouldSkipNegotiate(true), Client::echoStop),
            "polling", greeted(),
            "polling-empty", greeted(),
            "polling-end", closes(),
            "polling-401", closes("test-token"),
            "polling-first-404", fails(),
            "token-polling", echoes("tok+/=1"),
            "redirect-polling", echoes("app-token"));
    }
}
