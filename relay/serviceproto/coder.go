package serviceproto

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"github.com/signalrelay/signalrelay/relay"
)

// A coder walks the members of one message in wire order. Each of its methods
// is one member: it writes the value pointed to, or reads it. Members that the
// array is too short to hold are left alone, which is their zero value.
type coder struct {
	writing bool
	b       []byte // writing: the buffer; reading: what is left of the frame
	n       int    // writing: elements written; reading: elements left
	err     error  // the first one; reading stops there

	// Scratch of reading, reused from message to message.
	strings  []string
	payloads relay.Payload
}

var errNilID = errors.New("connection id is nil")

// fail keeps the first error. Writing cannot fail.
func (c *coder) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// more counts one element and reports whether there is one to read.
func (c *coder) more() bool {
	if c.n == 0 || c.err != nil {
		return false
	}
	c.n--
	return true
}

// isNil reports whether the next value is nil, and takes it if so.
func (c *coder) isNil() bool {
	if !msgp.IsNil(c.b) {
		return false
	}
	c.b = c.b[1:]
	return true
}

func (c *coder) str(p *string) {
	if c.writing {
		c.n++
		c.b = msgp.AppendString(c.b, *p)
	} else if c.more() {
		*p = c.readString()
	}
}

// id is a str that must not be nil: the SDK too loses such a frame
// (service-protocol 4.1).
func (c *coder) id(p *string) {
	if !c.writing && c.n > 0 && msgp.IsNil(c.b) {
		c.fail(errNilID)
	}
	c.str(p)
}

// strOrNil is a str that means the same empty and nil, and is written as nil.
func (c *coder) strOrNil(p *string) {
	if c.writing && *p == "" {
		c.n++
		c.b = msgp.AppendNil(c.b)
		return
	}
	c.str(p)
}

// strPtr is a str whose nil means something of its own.
func (c *coder) strPtr(p **string) {
	switch {
	case c.writing && *p == nil:
		c.n++
		c.b = msgp.AppendNil(c.b)
	case c.writing:
		c.str(*p)
	case c.more() && !c.isNil():
		s := c.readString()
		*p = &s
	}
}

// groupOrAll is the group of a leave request, whose nil is every group.
func (c *coder) groupOrAll(p *string, all *bool) {
	switch {
	case c.writing && *all:
		c.n++
		c.b = msgp.AppendNil(c.b)
	case c.writing:
		c.str(p)
	case c.more():
		if *all = c.isNil(); !*all {
			*p = c.readString()
		}
	}
}

// int is an integer that a .NET int can hold, in any form.
func (c *coder) int(p *int) {
	if c.writing {
		c.n++
		c.b = appendInt(c.b, *p)
	} else if c.more() {
		*p = c.readInt()
	}
}

// intOrNil is an int that may be missing.
func (c *coder) intOrNil(p **int) {
	switch {
	case c.writing && *p == nil:
		c.n++
		c.b = msgp.AppendNil(c.b)
	case c.writing:
		c.int(*p)
	case c.more() && !c.isNil():
		i := c.readInt()
		*p = &i
	}
}

// int32 is an int that is written in its longest form, as the SDK does for flow
// control (service-protocol 4.4, 39).
func (c *coder) int32(p *int) {
	if !c.writing {
		c.int(p)
		return
	}
	c.n++
	c.b = binary.BigEndian.AppendUint32(append(c.b, 0xd2), uint32(*p))
}

func (c *coder) bool(p *bool) {
	if c.writing {
		c.n++
		c.b = msgp.AppendBool(c.b, *p)
	} else if c.more() {
		*p = c.readBool()
	}
}

// bin is raw bytes. Empty and nil are the same and read as nil.
func (c *coder) bin(p *[]byte) {
	if c.writing {
		c.n++
		c.b = msgp.AppendBytes(c.b, *p)
	} else if c.more() {
		*p = c.readBytes()
	}
}

// binOrAbsent is the last member of a message, not written when it is nil.
func (c *coder) binOrAbsent(p *[]byte) {
	switch {
	case c.writing && *p == nil:
	case c.writing:
		c.bin(p)
	case c.more() && !c.isNil():
		if *p = c.readBytes(); *p == nil {
			*p = []byte{}
		}
	}
}

// maxTime is the last second that .NET has; the first is that of the zero
// time.Time.
var maxTime = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC).Unix()

// time is a timestamp of MessagePack's extension type -1, in its shortest form.
func (c *coder) time(p *time.Time) {
	if c.writing {
		c.n++
		c.b = msgp.AppendTimeExt(c.b, *p)
		return
	}
	if !c.more() {
		return
	}
	t, rest, err := msgp.ReadTimeUTCBytes(c.b)
	if err != nil {
		c.fail(err)
		return
	}
	if t.Unix() < (time.Time{}).Unix() || t.Unix() > maxTime {
		c.fail(errors.New("time is outside the years 1 to 9999"))
		return
	}
	*p, c.b = t, rest
}

// appendInt writes i in the smallest form. That of msgp.AppendInt64 is not:
// it never uses the unsigned ones.
func appendInt(b []byte, i int) []byte {
	if i >= 0 {
		return msgp.AppendUint64(b, uint64(i))
	}
	return msgp.AppendInt64(b, int64(i))
}

func (c *coder) readInt() int {
	i, rest, err := msgp.ReadInt32Bytes(c.b)
	if err != nil {
		c.fail(err)
		return 0
	}
	c.b = rest
	return int(i)
}

func (c *coder) readBool() bool {
	v, rest, err := msgp.ReadBoolBytes(c.b)
	if err != nil {
		c.fail(err)
		return false
	}
	c.b = rest
	return v
}

// readString reads a str without copying it; nil is empty.
func (c *coder) readString() string {
	if c.isNil() {
		return ""
	}
	v, rest, err := msgp.ReadStringZC(c.b)
	if err != nil {
		c.fail(err)
		return ""
	}
	c.b = rest
	return unsafe.String(unsafe.SliceData(v), len(v))
}

// readBytes reads a bin without copying it. Newer SDKs take a str for it, so do
// we; nil and empty are nil.
func (c *coder) readBytes() []byte {
	if c.isNil() {
		return nil
	}
	read := msgp.ReadBytesZC
	if msgp.NextType(c.b) == msgp.StrType {
		read = msgp.ReadStringZC
	}
	v, rest, err := read(c.b)
	if err != nil {
		c.fail(err)
		return nil
	}
	c.b = rest
	if len(v) == 0 {
		return nil
	}
	return v[:len(v):len(v)]
}
