package transport

import (
	"net"
	"strconv"
	"time"
)

// takeOver returns the connection under a hijacked one, and what the HTTP
// server had read beyond the request: a client may send its first frame in
// the same packet as the upgrade.
func takeOver(hc net.Conn) (nc net.Conn, early []byte) {
	nc = hc
	if u, ok := hc.(interface{ UnsafeConn() net.Conn }); ok {
		nc = u.UnsafeConn()
	}
	// Bytes in the server's buffer are read; a read of the socket itself
	// fails at once, because its time is over.
	hc.SetReadDeadline(time.Unix(1, 0))
	var b [512]byte
	for {
		n, err := hc.Read(b[:])
		early = append(early, b[:n]...)
		if err != nil || n == 0 {
			break
		}
	}
	hc.SetReadDeadline(time.Time{})
	if u, ok := nc.(*unread); ok && len(u.p) == 0 {
		nc = u.Conn
	}
	return nc, early
}

// An unread connection gives back bytes that were read too far.
type unread struct {
	net.Conn
	p []byte
}

func (u *unread) Read(p []byte) (int, error) {
	if len(u.p) > 0 {
		n := copy(p, u.p)
		u.p = u.p[n:]
		return n, nil
	}
	return u.Conn.Read(p)
}

func hex(n int) string { return strconv.FormatInt(int64(n), 16) }
