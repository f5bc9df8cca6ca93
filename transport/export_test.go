package transport

// A Parsed is what Parse finds in a client's byte stream: a message or a
// control frame.
type Parsed struct {
	Op   byte // 1 text, 2 binary, or a control opcode
	Data string
}

// Parse runs the frame parser over the chunks and joins the pieces of each
// message. Bytes of a message that did not end are in open.
func Parse(max int64, chunks ...[]byte) (all []Parsed, open string, err error) {
	var f frameParser
	var data []byte
	for _, c := range chunks {
		err = f.feed(c, max, func(p []byte, fr Frame) error {
			data = append(data, p...)
			if fr.End {
				op := byte(opBinary)
				if fr.Text {
					op = opText
				}
				all = append(all, Parsed{op, string(data)})
				data = data[:0]
			}
			return nil
		}, func(op byte, p []byte) error {
			all = append(all, Parsed{op, string(p)})
			return nil
		})
		if err != nil {
			break
		}
	}
	return all, string(data), err
}

// AppendHeader is the server's frame header.
var AppendHeader = appendHeader
