package drivers;

import java.io.IOException;
import java.io.InterruptedIOException;
import okhttp3.Call;
import okhttp3.Dispatcher;
import okhttp3.Interceptor;
import okhttp3.OkHttpClient;
import okhttp3.Response;

/**
 * Has a client make its requests in order. By itself it posts each message on a connection of its own, where the next message, or the
 * DELETE at the end, may overtake it.
 */
final class InOrder implements Interceptor {
    private final Dispatcher requests = new Dispatcher();

    void in(OkHttpClient.Builder http) { http.dispatcher(requests).addInterceptor(this); }

    @Override
    public Response intercept(Chain chain) throws IOException {
        try {
            while (!mayGo(chain.call())) Thread.sleep(5);
        } catch (InterruptedException e) {
            throw new InterruptedIOException();
        }
        return chain.proceed(chain.request());
    }

    // A GET is a poll or a WebSocket and stays for long. The others are in the list from when they were asked for until they are answered.
    private boolean mayGo(Call call) {
        return isGet(call) || requests.runningCalls().stream().filter(c -> !isGet(c)).findFirst().orElse(call) == call;
    }

    private static boolean isGet(Call call) { return call.request().method().equals("GET"); }
}
