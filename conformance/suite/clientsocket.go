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
)

// A clientSocket is the server's end of a WebSocket: small enough to send what a
// library would not, such as one message in pieces.
type clientSocket struct {
	conn    net.Conn
	r       *bufio.Reader
	writing sync.Mutex
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

// upgradeClient answers 101.
func upgradeClient(w http.ResponseWriter, r *http.Request) (*clientSocket, error) {
	key := r.Header.Get("Sec-WebSocket-Key")
	if !isUpgrade(r) || key == "" {
		return nil, errors.New("no WebSocket upgrade")
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

// read returns the next message. It answers pings; the client's close frame is
// io.EOF.
func (s *clientSocket) read() ([]byte, error) {
	var whole []byte
	for {
		op, last, p, err := s.frame()
		if err != nil {
			return nil, err
		}
		switch op {
		case socketPing:
			s.write(socketPong, true, p)
		case socketPong:
		case socketClose:
			s.write(socketClose, true, p[:min(2, len(p))])
			return nil, io.EOF
		case socketMore, socketText, socketBinary:
			if whole = append(whole, p...); len(whole) > clientMessageMax {
				return nil, errors.New("message too large")
			}
			if last {
				return whole, nil
			}
		default:
			return nil, fmt.Errorf("opcode %d", op)
		}
	}
}

func (s *clientSocket) frame() (op byte, last bool, p []byte, err error) {
	var b [8]byte
	if _, err = io.ReadFull(s.r, b[:2]); err != nil {
		return 0, false, nil, err
	}
	op, last = b[0]&15, b[0]&0x80 != 0
	masked, size := b[1]&0x80 != 0, uint64(b[1]&0x7f)
	switch size {
	case 126:
		_, err = io.ReadFull(s.r, b[:2])
		size = uint64(binary.BigEndian.Uint16(b[:2]))
	case 127:
		_, err = io.ReadFull(s.r, b[:8])
		size = binary.BigEndian.Uint64(b[:8])
	}
	if err != nil {
		return 0, false, nil, err
	}
	if !masked || size > clientMessageMax {
		return 0, false, nil, fmt.Errorf("frame of %d bytes, masked %t", size, masked)
	}
	var key [4]byte
	if _, err = io.ReadFull(s.r, key[:]); err != nil {
		return 0, false, nil, err
	}
	p = make([]byte, size)
	_, err = io.ReadFull(s.r, p)
	for i := range p {
		p[i] ^= key[i&3]
	}
	return op, last, p, err
}

// write sends one frame. A client that does not take it is noticed by read.
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
	s.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	s.conn.Write(append(b, p...))
}
