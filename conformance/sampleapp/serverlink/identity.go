package serverlink

import (
	"crypto/rand"
	"fmt"
	"os"
	"runtime"
	"strings"
)

var userAgent = "SignalRelay-SampleApp/1.0 (" + runtime.Version() + "; " + runtime.GOOS + "; " + runtime.GOARCH + ")"

// GUID is a random GUID in lower case.
func GUID() string {
	b := make([]byte, 16)
	rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ServerID makes up the name of an app server process: the machine's and a GUID
// without dashes (service-protocol 1.6).
func ServerID() string {
	host, _ := os.Hostname() // a server without a name has an id all the same
	return host + "_" + strings.ReplaceAll(GUID(), "-", "")
}
