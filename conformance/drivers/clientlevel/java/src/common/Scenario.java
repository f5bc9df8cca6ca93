package drivers;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;

/** One scenario of the judge's: the address of its hub, and the one where the judge wants to hear what the app was told. */
record Scenario(String name, String url, String said) {
    /** Tells the judge what the app was told. */
    void say(String text) throws Exception {
        HttpRequest post = HttpRequest.newBuilder(URI.create(said)).POST(BodyPublishers.ofString(text)).build();
        HttpClient.newHttpClient().send(post, BodyHandlers.discarding());
    }
}
