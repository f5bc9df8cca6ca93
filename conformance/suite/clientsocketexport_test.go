package suite

import (
	"bufio"
	"errors"
	"io"
	"net"
)

// ReadClientSocket reads what a client says on a WebSocket until its end. The
// fault is what no client may send, empty when it ended otherwise.
func ReadClientSocket(said io.Reader) (messages [][]byte, fault string) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go io.Copy(io.Discard, there) // the answers to pings and close frames; ends with the pipe
	s := &clientSocket{conn: here, r: bufio.NewReader(said)}
	for {
		m, err := s.read()
		if err != nil {
			var f clientFault
			errors.As(err, &f)
			return messages, string(f)
		}
		messages = append(messages, m)
	}
}

// The bounds of what a client says, in bytes.
const (
	ClientMessageMax = clientMessageMax
	ClientHeardMax   = clientHeardMax
)
