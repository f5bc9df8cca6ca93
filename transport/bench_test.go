package transport_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/transport"
)

// BenchmarkDelivery sends one message of 100 bytes to each of 200 peers, whose
// reading is counted in. Bare is the least it could be: one write(2) for each
// on the same sockets. One operation is one delivery.
func BenchmarkDelivery(b *testing.B) {
	const peers = 200
	m := []byte(strings.Repeat("m", 100))
	framed := append(transport.AppendHeader(nil, 1, len(m)), m...)
	b.Run("bare", func(b *testing.B) {
		l := listen(b)
		defer l.Close()
		var conns []syscall.RawConn
		var drained sync.WaitGroup
		var open []net.Conn
		for range peers {
			c := must[net.Conn](b)(net.Dial("tcp", l.Addr().String()))
			s := must[net.Conn](b)(l.Accept())
			open = append(open, s)
			conns = append(conns, must[syscall.RawConn](b)(s.(*net.TCPConn).SyscallConn()))
			drained.Go(func() { drain(c) })
		}
		b.ReportAllocs()
		b.ResetTimer()
		for i := range b.N {
			conns[i%peers].Write(func(fd uintptr) bool {
				n, err := syscall.Write(int(fd), framed)
				return n == len(framed) && err == nil
			})
		}
		for _, s := range open {
			s.Close()
		}
		drained.Wait()
	})
	for _, kind := range kinds[:2] {
		for _, burst := range []int{1, 10} {
			b.Run(fmt.Sprintf("%v burst %d", kind, burst), func(b *testing.B) {
				r := newRig(b).start(transport.Options{})
				r.profile.Buffer = 64 << 20
				var all []*peer
				var drained sync.WaitGroup
				for i := range peers {
					c, p := r.connect(kind, fmt.Sprint(i), 0)
					all = append(all, p)
					c.SetDeadline(time.Time{})
					drained.Go(func() { drain(c.Conn) })
				}
				b.ReportAllocs()
				b.ResetTimer()
				batch := uint32(0)
				for i := 0; i < b.N; i += burst {
					p := all[i/burst%peers]
					if batch++; burst == 1 {
						batch = 0
					}
					for range burst {
						if err := p.Send(m, true, batch); err != nil {
							b.Fatal(err)
						}
					}
				}
				for _, p := range all {
					p.Close(0, "")
				}
				drained.Wait()
			})
		}
	}
}

func drain(c net.Conn) {
	io.Copy(struct{ io.Writer }{io.Discard}, c)
	c.Close()
}

// BenchmarkUnmask is the parser's share of one message of 4 KiB.
func BenchmarkUnmask(b *testing.B) {
	f := frame(bin, strings.Repeat("m", 4<<10))
	b.SetBytes(int64(len(f)))
	for b.Loop() {
		if _, _, err := transport.Parse(1<<20, f); err != nil {
			b.Fatal(err)
		}
	}
}
