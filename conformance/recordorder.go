package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// inOrder is the steps of a recording as the client took them. A client opens
// another WebSocket when it knows that its last one is lost (core-client-protocol
// 8.5), which the recorder may have learned later: what was on its way on the old
// one then came after the request for the new one. A server that sees both at a
// time ends the old one before it has read all of it. So the drop comes before the
// request here: where the server answered before the drop was seen, what the
// client said meanwhile on the old one is left out.
func inOrder(steps []Step) []Step {
	steps = slices.Clone(steps)
	sockets := map[string]int{} // how many a client has had
	for i := 0; i < len(steps); i++ {
		client, answer := opens(steps, i)
		if client == "" {
			continue
		}
		old := client
		if n := sockets[client]; n > 1 {
			old = fmt.Sprintf("%s-%d", client, n)
		}
		if sockets[client]++; sockets[client] == 1 {
			continue
		}
		drop := i + slices.IndexFunc(steps[i:], func(s Step) bool {
			_, is := s.Said.(Drop)
			return is && s.Who == Client && s.Conn == old
		})
		switch asked, dropped := steps[i], steps[max(i, drop)]; {
		case drop < i:
		case drop < answer: // asked comes up again behind it
			copy(steps[i:], steps[i+1:drop+1])
			steps[drop] = asked
			sockets[client]--
			i--
		default:
			between := slices.DeleteFunc(slices.Clone(steps[i:drop]), func(s Step) bool { return s.Who == Client && s.Conn == old })
			steps = slices.Concat(steps[:i], []Step{dropped}, between, steps[drop+1:])
			i++
		}
	}
	return steps
}

// opens says which client of ASP.NET Core SignalR opens a WebSocket by a step, and
// where the answer is.
func opens(steps []Step, at int) (client string, answer int) {
	asked, ok := steps[at].Said.(Request)
	key, legacy := clientIn(asked.Target)
	if !ok || key == "" || legacy || get(asked.Header, "Upgrade") == "" {
		return "", 0
	}
	for i, s := range steps[at+1:] {
		if r, is := s.Said.(Response); is && s.Conn == steps[at].Conn {
			if r.Status != http.StatusSwitchingProtocols {
				return "", 0
			}
			return strings.TrimSuffix(key, "token"), at + 1 + i
		}
	}
	return "", 0
}
