package suite

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// A clientSocket is the server's end of a WebSocket: small enough to send what a
// library would not, such as one message in pieces.
type clientSocket struct {
	conn net.Conn
	r    *bufio.Reader

	writing sync.Mutex
	closed  bool // a close frame has gone out, behind which nothing may (RFC 6455 section 5.5.1). Guarded by writing.
}

// Opcodes of RFC 6455 section 5.2.
const (
	socketMore   = 0
	socketText   = 1
	socketBinary = 2
	socketClose  = 8
	socketPing   = 9
	socketPong   = 10
)

// clientMessageMax bounds, in bytes, what a client says at a time.
const clientMessageMax = 1 << 20

// upgradeClient answers 101 to what is an upgrade (RFC 6455 section 4.2.1).
func upgradeClient(w http.ResponseWriter, r *http.Request) (*clientSocket, error) {
	key := r.Header.Get("Sec-WebSocket-Key")
	nonce, err := base64.StdEncoding.DecodeString(key)
	switch {
	case !isUpgrade(r) || r.Method != http.MethodGet:
		return nil, errors.New("no WebSocket upgrade")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		return nil, fmt.Errorf("Sec-WebSocket-Version is %q, not 13", r.Header.Get("Sec-WebSocket-Version"))
	case err != nil || len(nonce) != 16:
		return nil, fmt.Errorf("Sec-WebSocket-Key is %q, not 16 bytes in base64", key)
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &clientSocket{conn: conn, r: rw.Reader}, nil
}

func isUpgrade(r *http.Request) bool { return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") }

// A clientFault is what no client may send, whatever the scenario.
type clientFault string

func (f clientFault) Error() string { return string(f) }

// read returns the next message. It answers pings; the client's close frame is
// io.EOF, frames that are against RFC 6455 a clientFault.
func (s *clientSocket) read() ([]byte, error) {
	var whole []byte
	var kind byte // of the message whose first frame has come; socketMore before
	for {
		f, err := s.frame()
		if err != nil {
			return nil, err
		}
		switch f.op {
		case socketPing:
			s.write(socketPong, true, f.payload)
			continue
		case socketPong:
			continue
		case socketClose:
			if err := closeFault(f.payload); err != nil {
				return nil, err
			}
			s.write(socketClose, true, f.payload[:min(2, len(f.payload))])
			return nil, io.EOF
		case socketMore:
			if kind == socketMore {
				return nil, clientFault("a continuation of no message")
			}
		default:
			if kind != socketMore {
				return nil, clientFault("a message in the middle of another")
			}
			kind = f.op
		}
		switch whole = append(whole, f.payload...); {
		case len(whole) > clientMessageMax:
			return nil, clientFault(fmt.Sprintf("a message of more than %d bytes", clientMessageMax))
		case f.last && kind == socketText && !utf8.Valid(whole):
			return nil, clientFault("a text that is not UTF-8")
		case f.last:
			return whole, nil
		}
	}
}

// closeFault is what is wrong with the payload of a close frame (RFC 6455
// section 7.4).
func closeFault(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if len(p) == 1 || !utf8.Valid(p[2:]) {
		return clientFault("a close frame without a code and a text")
	}
	code := binary.BigEndian.Uint16(p)
	if code < 1000 || code >= 1004 && code <= 1006 || code >= 1015 && code < 3000 || code >= 5000 {
		return clientFault(fmt.Sprintf("a close frame with code %d", code))
	}
	return nil
}

// A clientFrame is one frame of a client's, unmasked.
type clientFrame struct {
	op      byte
	last    bool // of its message
	payload []byte
}

// frame reads a frame (RFC 6455 section 5.2).
func (s *clientSocket) frame() (f clientFrame, err error) {
	var b [8]byte
	if _, err = io.ReadFull(s.r, b[:2]); err != nil {
		return f, ended(err)
	}
	f.op, f.last = b[0]&0xf, b[0]&0x80 != 0
	masked, size, least := b[1]&0x80 != 0, uint64(b[1]&0x7f), uint64(0)
	switch {
	case b[0]&0x70 != 0:
		return f, clientFault("a reserved bit, though no extension was agreed on")
	case f.op > socketBinary && f.op < socketClose || f.op > socketPong:
		return f, clientFault(fmt.Sprintf("opcode %d", f.op))
	case !masked:
		return f, clientFault("a frame that is not masked")
	case f.op >= socketClose && (!f.last || size > 125):
		return f, clientFault("a control frame in pieces, or of more than 125 bytes")
	case size == 126:
		_, err = io.ReadFull(s.r, b[:2])
		size, least = uint64(binary.BigEndian.Uint16(b[:2])), 126
	case size == 127:
		_, err = io.ReadFull(s.r, b[:8])
		size, least = binary.BigEndian.Uint64(b[:8]), 1<<16
	}
	switch {
	case err != nil:
		return f, ended(err)
	case size < least:
		return f, clientFault(fmt.Sprintf("a length of %d in more bytes than it needs", size))
	case size > clientMessageMax:
		return f, clientFault(fmt.Sprintf("a frame of %d bytes, more than %d", size, clientMessageMax))
	}
	var key [4]byte
	if _, err = io.ReadFull(s.r, key[:]); err != nil {
		return f, ended(err)
	}
	// The payload takes memory as it comes, whatever its length says.
	if f.payload, err = io.ReadAll(io.LimitReader(s.r, int64(size))); err != nil {
		return f, err
	}
	if uint64(len(f.payload)) < size {
		return f, io.ErrUnexpectedEOF
	}
	for i := range f.payload {
		f.payload[i] ^= key[i&3]
	}
	return f, nil
}

// ended is the error of a connection that ends without a close frame.
func ended(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// write sends one frame, unless a close frame was before it. A client that does not
// take it is noticed by read.
func (s *clientSocket) write(op byte, last bool, p []byte) {
	b := []byte{op}
	if last {
		b[0] |= 0x80
	}
	switch n := len(p); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.closed {
		return
	}
	s.closed = op == socketClose
	s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	s.conn.Write(append(b, p...))
}
