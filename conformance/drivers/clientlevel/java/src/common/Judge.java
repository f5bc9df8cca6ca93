package drivers;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The server of the scenarios, `signalrelay conform client`. */
final class Judge {
    private static final String RUNNING = "still running";

    private final URI base;
    private final HttpClient http = HttpClient.newHttpClient();

    Judge(String url) { base = URI.create(url); }

    /** The scenarios of ASP.NET Core SignalR whose names contain part, in the judge's order. */
    List<Scenario> scenarios(String part) throws Exception {
        List<Scenario> all = new ArrayList<>();
        for (JsonElement e : get("/scenarios", JsonArray.class)) {
            JsonObject o = e.getAsJsonObject();
            Scenario s = new Scenario(text(o, "name"), text(o, "url"), text(o, "said"));
            if (text(o, "flavour").equals("core") && s.name().contains(part)) all.add(s);
        }
        return all;
    }

    /** Waits until the scenarios with these names have ended, and says of each why it failed: "" of one that passed. */
    Map<String, String> verdicts(Set<String> names) throws Exception {
        for (;;) {
            Map<String, String> verdicts = new HashMap<>();
            for (JsonElement e : get("/verdicts", JsonObject.class).getAsJsonArray("results")) {
                JsonObject o = e.getAsJsonObject();
                if (names.contains(text(o, "name"))) verdicts.put(text(o, "name"), why(o));
            }
            if (!verdicts.containsValue(RUNNING)) return verdicts;
            Thread.sleep(300);
        }
    }

    private static String why(JsonObject verdict) {
        if (text(verdict, "outcome").equals("passed")) return "";
        return verdict.has("want") ? "want " + text(verdict, "want") + ", got " + text(verdict, "got") : text(verdict, "why");
    }

    private static String text(JsonObject o, String member) { return o.has(member) ? o.get(member).getAsString() : ""; }

    private <T> T get(String path, Class<T> type) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(base.resolve(path)).build();
        return new Gson().fromJson(http.send(request, BodyHandlers.ofString()).body(), type);
    }
}
