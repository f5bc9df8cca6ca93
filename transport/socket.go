package transport

import (
	"io"
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A socket is a hijacked connection. On plain TCP it is read and written
// through its descriptor without blocking; anything else (TLS) falls back to
// its Read and Write.
type socket struct {
	nc    net.Conn
	raw   syscall.RawConn // nil: not plain TCP
	fd    int             // -1: closed or not plain TCP. Guarded by the mutex of the Conn that is carried.
	early []byte          // read by the HTTP server beyond the request
}

func newSocket(nc net.Conn, early []byte) *socket {
	s := &socket{nc: nc, fd: -1, early: early}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return s
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return s
	}
	if raw.Control(func(fd uintptr) { s.fd = int(fd) }) == nil {
		s.raw = raw
	}
	return s
}

// try writes what the socket takes at once. It returns 0 without an error
// when that is nothing or when the socket cannot be written so.
func (s *socket) try(p []byte) (int, error) {
	if s.fd < 0 {
		return 0, nil
	}
	for {
		// A socket that does not block needs no word with the scheduler,
		// which would cost more than everything else we do for a message.
		n, _, err := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch err {
		case 0:
			return int(n), nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, nil
		}
		return 0, err
	}
}

// tryParts is try for parts that are not worth joining.
func (s *socket) tryParts(parts [][]byte) (int, error) {
	if s.fd < 0 {
		return 0, nil
	}
	for {
		n, err := unix.Writev(s.fd, parts)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, nil
		}
		return 0, err
	}
}

// alive says whether the peer has not closed its side. Only plain TCP can
// tell; the answer is a hint elsewhere.
func (s *socket) alive() bool {
	if s.fd < 0 {
		return true
	}
	var b [1]byte
	n, _, err := unix.Recvfrom(s.fd, b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return n > 0 || err == unix.EAGAIN || err == unix.EINTR
}

// pending returns how many bytes the peer has not acknowledged. Plain TCP
// only.
func (s *socket) pending() (n int) {
	s.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n
}

// close ends the socket. The caller holds the Conn's mutex, so that nobody
// writes to a descriptor that already is somebody else's.
func (s *socket) close() {
	s.fd = -1
	s.nc.Close()
}

// Read buffers, held only while there is something to read. A connection that
// fills a small one goes on with a large one.
const (
	smallRead = 4 << 10
	largeRead = 64 << 10
)

var (
	smallReads = sync.Pool{New: func() any { return new([smallRead]byte) }}
	largeReads = sync.Pool{New: func() any { return new([largeRead]byte) }}
)

// A reader reads one socket for its owner.
type reader struct {
	s     *socket
	large bool
	// The result of one turn of the poller; see wait.
	small *[smallRead]byte
	big   *[largeRead]byte
	n     int
	err   error
	turn  func(fd uintptr) bool
}

func newReader(s *socket, large bool) *reader {
	r := &reader{s: s, large: large}
	r.turn = r.try
	return r
}

func (r *reader) try(fd uintptr) bool {
	p := r.take()
	for {
		r.n, r.err = syscall.Read(int(fd), p)
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err == syscall.EAGAIN {
		r.release()
		return false // park until the socket is readable
	}
	return true
}

func (r *reader) take() []byte {
	if r.large {
		r.big = largeReads.Get().(*[largeRead]byte)
		return r.big[:]
	}
	r.small = smallReads.Get().(*[smallRead]byte)
	return r.small[:]
}

func (r *reader) release() {
	if r.big != nil {
		largeReads.Put(r.big)
		r.big = nil
	}
	if r.small != nil {
		smallReads.Put(r.small)
		r.small = nil
	}
}

// next waits for bytes, which are valid until release. At the end of the
// stream it returns an error.
func (r *reader) next() ([]byte, error) {
	if len(r.s.early) > 0 {
		p := r.s.early
		r.s.early = nil
		return p, nil
	}
	if r.s.raw == nil {
		p := r.take()
		n, err := r.s.nc.Read(p)
		if n > 0 {
			return p[:n], nil
		}
		r.release()
		return nil, err
	}
	if err := r.s.raw.Read(r.turn); err != nil {
		r.release()
		return nil, err
	}
	if r.err != nil || r.n <= 0 {
		r.release()
		if r.err == nil {
			return nil, io.EOF
		}
		return nil, r.err
	}
	if r.big != nil {
		p := r.big[:r.n]
		return p, nil
	}
	p := r.small[:r.n]
	r.large = r.large || r.n == smallRead
	return p, nil
}

// readable parks until the socket has something to read or has ended, and
// reads nothing. Plain TCP only.
func (s *socket) readable() error {
	return s.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		_, _, err := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err != unix.EAGAIN && err != unix.EINTR
	})
}
