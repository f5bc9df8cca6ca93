package bench_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"

	"github.com/signalrelay/signalrelay/conformance/bench"
)

func TestServeAppRefuses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const secret = "0123456789abcdef0123456789abcdef"
	for _, tc := range []struct{ name, listen, conn, want string }{
		{"connection string", "127.0.0.1:0", "AccessKey=" + secret, "connection string"},
		{"address in use", l.Addr().String(), "Endpoint=http://127.0.0.1:1;AccessKey=" + secret + ";Version=1.0;", "address already in use"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			err := bench.ServeApp(t.Context(), tc.listen, tc.conn, &out)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("ServeApp = %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Error("the error tells the access key")
			}
		})
	}
}

// An app whose service is not there goes on trying, and ends when it is told to.
func TestServeAppEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := bench.ServeApp(ctx, "127.0.0.1:0", "Endpoint=http://127.0.0.1:1;AccessKey=0123456789abcdef0123456789abcdef;Version=1.0;", &out); err != nil {
		t.Errorf("ServeApp = %v", err)
	}
	if strings.Contains(out.String(), "CONNECTED") {
		t.Error("it says CONNECTED without a service")
	}
}
