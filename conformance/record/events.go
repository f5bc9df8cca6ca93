package record

import (
	"bytes"
	"io"

	"github.com/signalrelay/signalrelay/conformance"
)

// events passes an event stream on and notes each event before the client has
// its end.
type events struct {
	io.ReadCloser
	x    *exchange
	line []byte // without its end so far
	data []byte // of the event so far, nil for none; at most a line above maxBody
}

// Read is io.Reader's.
func (e *events) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		line, after, whole := bytes.Cut(rest, []byte("\n"))
		if e.line, rest = append(e.line, line...), after; whole {
			e.next(bytes.TrimSuffix(e.line, []byte("\r")))
			e.line = e.line[:0]
		} else if len(e.line) > maxBody {
			e.line = e.line[:0]
		}
	}
	switch {
	case err == io.EOF:
		e.x.ended(server, conformance.Close{})
	case err != nil && e.x.left():
		e.x.ended(conformance.Client, conformance.Drop{})
	case err != nil:
		e.x.ended(server, conformance.Drop{})
	}
	return n, err
}

// Close is called without an end of the stream when the client went away.
func (e *events) Close() error {
	e.x.ended(conformance.Client, conformance.Drop{})
	return e.ReadCloser.Close()
}

func (e *events) next(line []byte) {
	switch value, ok := bytes.CutPrefix(line, []byte("data: ")); {
	case ok && len(e.data) <= maxBody:
		e.data = append(e.data, value...)
	case len(line) == 0 && len(e.data) > maxBody:
		e.x.r.note(conformance.Note, "", conformance.Remark("an event of more than 64 MiB is left out"))
		e.data = nil
	case len(line) == 0 && e.data != nil:
		e.x.heard(conformance.Event, e.data)
		e.data = nil
	}
}
