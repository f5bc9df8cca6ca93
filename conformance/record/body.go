package record

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
)

// maxBody is the largest body that is noted, in bytes. A larger one is passed on
// and its exchange left out.
const maxBody = 64 << 20

var (
	errTooLarge = errors.New("body too large to note")
	errGivenUp  = errors.New("the reader gave up")
)

// A body passes a body on and keeps a copy, which whole gets before the reader
// has the last byte, or as much as there is, with how much is missing, if that is
// known, and the reason.
type body struct {
	io.ReadCloser
	whole func(data []byte, missing int64, err error)

	mu     sync.Mutex // the transport closes what it may be reading
	toCome int64      // bytes, negative when unknown
	copy   bytes.Buffer
	done   bool
}

// Read is io.Reader's.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return n, err
	}
	if b.toCome >= 0 {
		b.toCome -= int64(n)
	}
	switch b.copy.Write(p[:n]); {
	case b.copy.Len() > maxBody:
		b.end(errTooLarge)
	case err == io.EOF, err == nil && b.toCome == 0:
		b.end(nil)
	case errors.Is(err, context.Canceled):
		b.end(errGivenUp)
	case err != nil:
		b.end(err)
	}
	return n, err
}

// Close is io.Closer's. What was not read to its end was given up.
func (b *body) Close() error {
	b.giveUp()
	return b.ReadCloser.Close()
}

// giveUp says that nobody waits for the rest.
func (b *body) giveUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(errGivenUp)
}

// end hands over what came, once. The caller holds mu.
func (b *body) end(err error) {
	if !b.done {
		b.done = true
		b.whole(b.copy.Bytes(), max(0, b.toCome), err)
		b.copy = bytes.Buffer{}
	}
}
