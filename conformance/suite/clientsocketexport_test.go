package suite

import (
	"bufio"
	"encoding/binary"
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

// AnswerClientSocket reads what a client says on a WebSocket until its end, once the
// server has closed with a code that is not 0, and returns what the server said.
func AnswerClientSocket(said io.Reader, code uint16) []byte {
	here, there := net.Pipe()
	defer there.Close()
	wrote := make(chan []byte)
	go func() { // ends with here
		b, _ := io.ReadAll(there)
		wrote <- b
	}()
	s := &clientSocket{conn: here, r: bufio.NewReader(said)}
	if code != 0 {
		s.write(socketClose, true, binary.BigEndian.AppendUint16(nil, code))
	}
	for err := error(nil); err == nil; {
		_, err = s.read()
	}
	here.Close()
	return <-wrote
}

// The bounds of what a client says, in bytes.
const (
	ClientMessageMax = clientMessageMax
	ClientHeardMax   = clientHeardMax
)
