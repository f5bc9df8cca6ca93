package conformance

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/signalrelay/signalrelay/conformance/ws"
	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// readEvents calls f with the data of each event until the stream ends, and
// returns how.
func readEvents(body io.Reader, f func(data []byte)) Saying {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, math.MaxInt) // body ends with ErrFlood before
	var data []byte
	for lines.Scan() {
		line := lines.Bytes()
		switch value, ok := bytes.CutPrefix(line, []byte("data: ")); {
		case ok:
			data = append(data, value...)
		case len(line) == 0 && data != nil:
			f(data)
			data = nil
		}
	}
	if err := lines.Err(); err != nil {
		return brokenOff(err)
	}
	return Close{}
}

// endOfStream is the code that the end of an event stream or of polling stands
// for.
const endOfStream = 1000

// readStream puts each hub message of an event stream until that ends, and
// returns how.
func readStream(body io.Reader, in *inbox, conn string, cut *hubCutter) Saying {
	end := readEvents(body, func(data []byte) {
		for _, m := range cut.cut(data) {
			in.put(conn, Data{Text, m})
		}
	})
	if _, clean := end.(Close); clean {
		putRest(in, conn, Text, cut)
		return Close{Code: endOfStream}
	}
	return end
}

// putRest puts what has come of a message in whose middle the server has closed.
func putRest(in *inbox, conn string, kind DataKind, cut *hubCutter) {
	if len(cut.rest) > 0 {
		in.put(conn, Data{kind, cut.rest})
	}
}

// readFrames puts each service message that comes on a server connection until
// that ends, and returns how.
func readFrames(c *ws.Conn, in *inbox, conn string) Saying {
	defer c.NetConn().Close()
	var cut sp.Splitter
	for {
		_, chunk, err := c.Read()
		if err == nil {
			err = cut.Feed(chunk, func(body []byte, _ bool) error {
				in.put(conn, frameOf(bytes.Clone(body)))
				return nil
			})
		}
		if err != nil {
			return ending(err)
		}
	}
}

// frameOf is a frame by its body, which it keeps.
func frameOf(body []byte) Frame {
	m, err := new(sp.Decoder).Decode(body)
	if err != nil {
		return Frame{Hex: append(binary.AppendUvarint(nil, uint64(len(body))), body...)}
	}
	return Frame{Message: m}
}

// readHub puts each hub message that comes on a client's WebSocket until that
// ends, and returns how.
func readHub(c *ws.Conn, in *inbox, conn string, cut *hubCutter) Saying {
	defer c.NetConn().Close()
	kind := Text
	for {
		op, data, err := c.Read()
		if err != nil {
			end := ending(err)
			if _, clean := end.(Close); clean {
				putRest(in, conn, kind, cut)
			}
			return end
		}
		if kind = Text; op == ws.Binary {
			kind = Binary
		}
		for _, m := range cut.cut(bytes.Clone(data)) {
			in.put(conn, Data{kind, m})
		}
	}
}

// ending is how a WebSocket ended that cannot be read any more.
func ending(err error) Saying {
	var closed *ws.CloseError
	if !errors.As(err, &closed) {
		return brokenOff(err)
	}
	c := Close{Code: closed.Code, Reason: closed.Reason}
	if c.Code == 1005 {
		c.Code = 0
	}
	return c
}
