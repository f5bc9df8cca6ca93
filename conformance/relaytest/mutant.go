package relaytest

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// StartMutant serves all that is served at addr until the test ends, but says new
// where that says old in one piece, and returns its HOST:PORT. Both are of the same
// length, so that frames stay whole.
func StartMutant(t testing.TB, addr, old, new string) (at string) {
	t.Helper()
	if len(old) != len(new) {
		t.Fatalf("%q and %q are not of the same length", old, new)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with l
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", addr)
			if err != nil {
				in.Close()
				continue
			}
			go func() { // ends with either side, as the other does
				defer out.Close()
				io.Copy(out, in)
			}()
			go func() {
				defer in.Close()
				said := make([]byte, 64<<10)
				for {
					n, err := out.Read(said)
					if err != nil {
						return
					}
					in.Write(bytes.ReplaceAll(said[:n], []byte(old), []byte(new)))
				}
			}()
		}
	}()
	return l.Addr().String()
}
