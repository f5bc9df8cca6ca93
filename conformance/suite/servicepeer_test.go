package suite_test

import (
	"bufio"
	"net"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalrelay/signalrelay/conformance/suite"
)

// The reference service, which was written apart from the relay and recorded
// most of the transcripts, agrees with them but where it is known to be wrong.
func TestServiceSetOfReferenceService(t *testing.T) {
	program := filepath.Join(needPeers(t), "refserviced")
	known := listed(t, "service/known-refservice.txt")
	set := suite.ServiceSet()
	set.Cases = slices.DeleteFunc(set.Cases, func(c suite.Case) bool { return c.Name == "client-close-answered" })
	t.Log("skip client-close-answered: it ends the connection, now and then with a close frame")
	r, err := suite.Run(t.Context(), set, startReference(t, program), suite.Options{Parallel: 8, Known: known, Limit: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	recordReport(t, r, "reference service")
	if r.Err() != nil || r.Count(suite.Service, suite.Passed) < 140 {
		var b strings.Builder
		r.Write(&b, suite.Text)
		t.Error(b.String())
	}
}

// startReference runs the reference service until the test ends.
func startReference(t *testing.T, program string) *suite.Endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + l.Addr().String()
	l.Close() // it says READY with the port that it was told
	service := exec.Command(program, "--url", at, "--key", accessKey, "--stateful")
	service.Stderr = t.Output()
	out, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		service.Process.Kill()
		service.Wait()
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if at, ok := strings.CutPrefix(lines.Text(), "READY "); ok {
			u, err := url.Parse(at)
			if err != nil {
				t.Fatal(err)
			}
			go func() { // ends with the process
				for lines.Scan() {
				}
			}()
			return &suite.Endpoint{URL: u, AccessKey: accessKey}
		}
	}
	t.Fatalf("the reference service did not start: %v", lines.Err())
	return nil
}
