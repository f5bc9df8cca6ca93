"""The network as one client sees it: TCP relays in this process whose connections can be cut (reset) at any time."""

import json
import socket
import struct
import threading
from urllib.parse import urlsplit


class Net:
    """Each address a client is sent to, also by a redirect in a negotiate answer, is reached through a relay. The clients offer no
    place to change a negotiate answer, so the relay does it: a connection that starts with a negotiate carries that one exchange."""

    def __init__(self):
        self.relays = {}
        self.open = set()

    def through(self, url):
        u = urlsplit(url)
        if u.netloc not in self.relays:
            listener = socket.create_server(("127.0.0.1", 0))
            self.relays[u.netloc] = listener
            threading.Thread(target=self._accept, args=(listener, u.hostname, u.port or 80), daemon=True).start()
        return url.replace(u.netloc, "127.0.0.1:%d" % self.relays[u.netloc].getsockname()[1], 1)

    def _accept(self, listener, host, port):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(near, host, port), daemon=True).start()

    def _relay(self, near, host, port):
        far = None
        try:
            far = socket.create_connection((host, port))
            self.open.update((near, far))
            head = b""
            while b"\r\n\r\n" not in head:
                more = near.recv(65536)
                if not more:
                    raise OSError("no request")
                head += more
            if head.startswith(b"POST ") and b"/negotiate" in head.split(b"\r\n", 1)[0]:
                self._negotiate(near, far, head)
                return
            far.sendall(head)
            threading.Thread(target=self._pump, args=(far, near), daemon=True).start()
            self._pump(near, far)
        except OSError:
            reset(near)
            if far:
                reset(far)

    def _negotiate(self, near, far, request):
        head, body = request.split(b"\r\n\r\n", 1)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
        length = next((int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        while len(body) < length:
            body += near.recv(65536)
        far.sendall(b"\r\n".join(lines + [b"Connection: close"]) + b"\r\n\r\n" + body)
        answer = b""
        while more := far.recv(65536):
            answer += more
        head, body = answer.split(b"\r\n\r\n", 1)
        if b"chunked" in head.lower():
            body = unchunked(body)
        content = json.loads(body)
        if content.get("url"):
            content["url"] = self.through(content["url"])
        body = json.dumps(content).encode()
        status = head.split(b"\r\n", 1)[0]
        near.sendall(status + b"\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.open.difference_update((near, far))
        near.close()
        far.close()

    def _pump(self, source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            reset(source)
            reset(to)
        self.open.discard(source)

    def cut(self):
        for s in list(self.open):
            reset(s)

    def close(self):
        for listener in self.relays.values():
            listener.close()
        self.cut()


def unchunked(body):
    whole = b""
    while body:
        size, body = body.split(b"\r\n", 1)
        n = int(size, 16)
        whole, body = whole + body[:n], body[n + 2:]
        if n == 0:
            break
    return whole


# Another thread may be blocked in a read of s; shutdown wakes it, which close alone does not.
def reset(s):
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.shutdown(socket.SHUT_RD)
        s.close()
    except OSError:
        pass
