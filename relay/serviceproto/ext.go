package serviceproto

import "github.com/tinylib/msgp/msgp"

// Keys of the extension map (service-protocol 4.2).
const (
	keyTracingID = 1 // uint64
	keyTTL       = 2 // int, seconds
	keyProtocol  = 3 // str
	keyFilter    = 4 // str
	keyDataType  = 5 // int
	keyPartial   = 6 // bool
)

// An ext says which keys of the extension map a message has, and where their
// values are. SDK 1.25.1 loses a frame with any other key, so those are never
// written; when read they are skipped.
type ext struct {
	tracingID *uint64
	ttl       **int
	protocol  *string
	filter    *string
	dataType  *int
	partial   *bool
}

// ext is the extension map: always there when written, without the values that
// are zero.
func (c *coder) ext(e ext) {
	if c.writing {
		c.n++
		c.appendExt(e)
	} else if c.more() && !c.isNil() {
		c.readExt(e)
	}
}

func (c *coder) appendExt(e ext) {
	at := len(c.b)
	c.b = append(c.b, 0x80) // fixmap; its low bits count the keys
	key := func(k byte) {
		c.b[at]++
		c.b = append(c.b, k)
	}
	if e.tracingID != nil && *e.tracingID != 0 {
		key(keyTracingID)
		c.b = msgp.AppendUint64(c.b, *e.tracingID)
	}
	if e.ttl != nil && *e.ttl != nil {
		key(keyTTL)
		c.b = appendInt(c.b, **e.ttl)
	}
	if e.protocol != nil && *e.protocol != "" {
		key(keyProtocol)
		c.b = msgp.AppendString(c.b, *e.protocol)
	}
	if e.filter != nil && *e.filter != "" {
		key(keyFilter)
		c.b = msgp.AppendString(c.b, *e.filter)
	}
	if e.dataType != nil && *e.dataType != 0 {
		key(keyDataType)
		c.b = appendInt(c.b, *e.dataType)
	}
	if e.partial != nil && *e.partial {
		key(keyPartial)
		c.b = msgp.AppendBool(c.b, true)
	}
}

func (c *coder) readExt(e ext) {
	for n := c.readMapHeader(); n > 0 && c.err == nil; n-- {
		key, rest, err := msgp.ReadIntBytes(c.b)
		if err == nil {
			c.b = rest
		} else {
			c.skip() // a key of a kind that is not ours either
		}
		switch {
		case c.err != nil:
		case c.isNil(): // a value that is not set
		case key == keyTracingID && e.tracingID != nil:
			*e.tracingID = c.readUint64()
		case key == keyTTL && e.ttl != nil:
			ttl := c.readInt()
			*e.ttl = &ttl
		case key == keyProtocol && e.protocol != nil:
			*e.protocol = c.readString()
		case key == keyFilter && e.filter != nil:
			*e.filter = c.readString()
		case key == keyDataType && e.dataType != nil:
			*e.dataType = c.readInt()
		case key == keyPartial && e.partial != nil:
			*e.partial = c.readBool()
		default:
			c.skip()
		}
	}
}

func (c *coder) readUint64() uint64 {
	u, rest, err := msgp.ReadUint64Bytes(c.b)
	if err != nil {
		c.fail(err)
		return 0
	}
	c.b = rest
	return u
}

// skip takes the next value, whatever it is.
func (c *coder) skip() {
	rest, err := msgp.Skip(c.b)
	if err != nil {
		c.fail(err)
		return
	}
	c.b = rest
}
