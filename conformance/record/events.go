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
	x        *exchange
	line     []byte // without its end so far
	data     []byte // of the event so far, nil for none
	tooLarge bool   // the event has more than maxBody and is not kept
}

// Read is io.Reader's.
func (e *events) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		part, after, whole := bytes.Cut(rest, []byte("\n"))
		rest, e.line = after, append(e.line, part...)
		if len(e.line)+len(e.data) > maxBody {
			e.tooLarge, e.line, e.data = true, e.line[:1], nil // enough to know that it is not empty
		}
		if whole {
			e.next(bytes.TrimSuffix(e.line, []byte("\r")))
			e.line = e.line[:0]
		}
	}
	switch {
	case err == io.EOF:
		e.x.ended(server, conformance.Close{})
	case err != nil && e.x.clientLeft():
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

// next takes a line, an empty one of which ends the event.
func (e *events) next(line []byte) {
	switch value, ok := bytes.CutPrefix(line, []byte("data: ")); {
	case len(line) == 0 && e.tooLarge:
		e.x.r.note(conformance.Note, "", conformance.Remark("an event of more than 64 MiB on "+e.x.carrier+" is left out"))
		e.tooLarge = false
	case len(line) == 0 && e.data != nil:
		e.x.heard(conformance.Event, e.data)
		e.data = nil
	case ok && !e.tooLarge:
		e.data = append(e.data, value...)
	}
}
