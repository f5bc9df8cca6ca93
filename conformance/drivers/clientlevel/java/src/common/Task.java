package drivers;

import com.microsoft.signalr.HttpHubConnectionBuilder;
import java.util.function.UnaryOperator;

/** What a client is made to do in a scenario. It ends when the client has done its part: what follows is for the judge to see. */
interface Task {
    /** What an app does with a client that is connected. */
    interface Life { void live(Client c) throws Exception; }

    void run(Scenario s) throws Exception;

    static Task lives(Life life) { return s -> life.live(new Client(s).start()); }

    static Task lives(UnaryOperator<HttpHubConnectionBuilder> options, Life life) {
        return s -> life.live(new Client(s, options).start());
    }

    static Task echoes() { return lives(Client::echoStop); }

    static Task echoes(String token) { return lives(Client.token(token), Client::echoStop); }

    /** Answers the first hello with Got, then invokes Echo and stops. */
    static Task greeted() {
        return lives(c -> {
            c.got(c.hello());
            c.echoStop();
        });
    }

    /** Start fails, and the judge is told how. */
    static Task fails() { return s -> s.say(new Client(s).fail()); }

    static Task fails(String token) { return s -> s.say(new Client(s, Client.token(token)).fail()); }

    /** The connection ends by itself, and the judge is told so. */
    static Task closes() { return s -> closed(s, new Client(s)); }

    static Task closes(String token) { return s -> closed(s, new Client(s, Client.token(token))); }

    private static void closed(Scenario s, Client c) throws Exception {
        c.end();
        s.say("closed");
    }
}
