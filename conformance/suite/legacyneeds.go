package suite

import (
	"context"
	"fmt"
	"strings"
)

// legacyNeeds skips what cannot be asked here.
func legacyNeeds(ctx context.Context, t *T, door *legacyDoor, needs, via string) {
	if door.redirected && via == legacyFrame {
		t.Skip("a client that was redirected has no forever frame (legacy-client-protocol 2.3)")
	}
	if (via == legacySocket || needs == "websockets") && strings.Contains(door.first.body, `"TryWebSockets":false`) {
		t.Skip("there are no WebSockets here")
	}
	switch needs {
	case "", "websockets":
	case "jsonp", "no jsonp":
		a := door.ask(ctx, "", &legacyRequest{method: "GET", target: "/ping?callback=cb"})
		if is := a.status == 200; is != (needs == "jsonp") {
			t.Skip(map[bool]string{true: "JSONP is enabled here", false: "JSONP is not enabled here"}[is])
		}
	case "cors", "no cors":
		a := door.ask(ctx, "", &legacyRequest{method: "GET", target: "/ping", headers: []string{"Origin: http://other.example"}})
		if is := a.header.Get("Access-Control-Allow-Origin") != ""; is != (needs == "cors") {
			t.Skip(map[bool]string{true: "other origins are allowed here", false: "no other origin is allowed here"}[is])
		}
	case "nobody":
		if t.Endpoint.query().Has("user") {
			t.Skip("everybody is a user here")
		}
	default:
		t.Broken(fmt.Errorf("nothing is known of the need %q", needs))
	}
}
