package drivers;

import com.microsoft.signalr.HubConnection;
import com.microsoft.signalr.TransportEnum;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Usage: Main HUB-URL [only] [--slow] [--list] */
public final class Main {
    public static void main(String[] args) throws Exception {
        List<String> words = new ArrayList<>(List.of(args));
        boolean list = words.remove("--list"), slow = words.remove("--slow");
        if (!list && words.isEmpty()) throw new IllegalArgumentException("the hub's URL is missing");
        String url = words.isEmpty() ? "http://127.0.0.1/" : words.get(0);
        Battery battery = new Battery(Path.of("known-failing.txt"));
        List<Lane> lanes = new ArrayList<>();
        for (TransportEnum transport : List.of(TransportEnum.WEBSOCKETS, TransportEnum.LONG_POLLING)) {
            Lane lane = new Lane(battery, url, transport, slow);
            lanes.add(lane);
            battery.add(lane.prefix.replace("/json ", "/messagepack"), 1, () -> {
                throw new Battery.Skip("the client's MessagePack package is not in the registry");
            });
        }
        battery.afterFailure = () -> lanes.forEach(Lane::close);
        if (list) {
            battery.list();
            return;
        }
        Path jar = Path.of(HubConnection.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        System.out.println("client " + jar.getFileName() + ", Java " + Runtime.version().feature());
        int status = battery.run(words.size() > 1 ? words.get(1) : "");
        System.exit(status);
    }
}
