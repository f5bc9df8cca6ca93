package drivers;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.URI;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The network as one client sees it: each address it is sent to, also by a redirect in a negotiate answer, is reached through a TCP
 * relay in this process, whose connections can be cut (reset) at any time.
 */
final class Net {
    private final Map<String, ServerSocket> relays = new ConcurrentHashMap<>();
    private final Set<Socket> open = ConcurrentHashMap.newKeySet();
    private volatile boolean dark;

    /** Gives the URL by which this network reaches url. */
    String through(String url) throws IOException {
        URI u = URI.create(url);
        ServerSocket relay = relays.get(u.getAuthority());
        if (relay == null) {
            relay = new ServerSocket(0, 256, InetAddress.getLoopbackAddress());
            relays.put(u.getAuthority(), relay);
            ServerSocket listening = relay;
            start(() -> accept(listening, u.getHost(), u.getPort()));
        }
        return url.replace(u.getAuthority(), "127.0.0.1:" + relay.getLocalPort());
    }

    private void accept(ServerSocket relay, String host, int port) throws IOException {
        while (true) {
            Socket near = relay.accept();
            if (dark) {
                reset(near);
                continue;
            }
            Socket far = new Socket(host, port);
            open.add(near);
            open.add(far);
            start(() -> pump(near, far));
            start(() -> pump(far, near));
        }
    }

    private void pump(Socket from, Socket to) {
        try {
            from.setTcpNoDelay(true);
            InputStream in = from.getInputStream();
            OutputStream out = to.getOutputStream();
            byte[] buffer = new byte[65536];
            for (int n; (n = in.read(buffer)) > 0;) out.write(buffer, 0, n);
            to.shutdownOutput();
        } catch (IOException e) {
            reset(from);
            reset(to);
        } finally {
            open.remove(from);
        }
    }

    void cut() { open.forEach(Net::reset); }

    /** Cuts, and resets every new connection too until the time is over. */
    void blackout(long ms) throws InterruptedException {
        dark = true;
        cut();
        Thread.sleep(ms);
        dark = false;
    }

    void close() {
        for (ServerSocket s : relays.values()) try { s.close(); } catch (IOException ignored) { }
        cut();
    }

    private static void reset(Socket s) {
        try {
            s.setSoLinger(true, 0);
            s.close();
        } catch (IOException ignored) { }
    }

    private static void start(Battery.Body body) {
        Thread t = new Thread(() -> { try { body.run(); } catch (Exception ended) { } }, "relay");
        t.setDaemon(true);
        t.start();
    }
}
