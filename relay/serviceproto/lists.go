package serviceproto

import (
	"github.com/tinylib/msgp/msgp"

	"github.com/signalrelay/signalrelay/relay"
)

// Scratch above these sizes is not kept for the next message.
const (
	maxKeptStrings  = 4096 // 64 KB
	maxKeptPayloads = 16   // an app knows three hub protocols at most
)

// strs is a list of strings. None is written as an empty array, read as nil.
func (c *coder) strs(p *[]string) {
	if c.writing {
		c.n++
		c.appendStrings(*p)
	} else if c.more() && !c.isNil() {
		*p = c.readStrings(c.readArrayHeader())
	}
}

// words is all the elements that are left, a string each.
func (c *coder) words(p *[]string) {
	if c.writing {
		c.n += len(*p)
		for _, s := range *p {
			c.b = msgp.AppendString(c.b, s)
		}
		return
	}
	if c.n > len(c.b) {
		c.fail(msgp.ErrShortBytes)
		return
	}
	*p = c.readStrings(c.n)
}

// payload is one message per hub protocol.
func (c *coder) payload(p *relay.Payload) {
	if c.writing {
		c.n++
		c.b = msgp.AppendMapHeader(c.b, uint32(len(*p)))
		for i := range *p {
			c.b = msgp.AppendString(c.b, (*p)[i].Protocol)
			c.b = msgp.AppendBytes(c.b, (*p)[i].Data)
		}
		return
	}
	if !c.more() || c.isNil() {
		return
	}
	for n := c.readMapHeader(); n > 0 && c.err == nil; n-- {
		c.payloads = append(c.payloads, relay.Encoding{Protocol: c.readString(), Data: c.readBytes()})
	}
	if len(c.payloads) > 0 {
		*p = c.payloads
	}
}

// claims is a map whose keys may repeat and whose order counts, so it is a list
// (service-protocol 4.1).
func (c *coder) claims(p *[]relay.Claim) {
	if c.writing {
		c.n++
		c.b = msgp.AppendMapHeader(c.b, uint32(len(*p)))
		for i := range *p {
			c.b = msgp.AppendString(c.b, (*p)[i].Type)
			c.b = msgp.AppendString(c.b, (*p)[i].Value)
		}
		return
	}
	if !c.more() || c.isNil() {
		return
	}
	n := c.readMapHeader()
	if n == 0 {
		return
	}
	claims := make([]relay.Claim, n)
	for i := 0; i < n && c.err == nil; i++ {
		claims[i] = relay.Claim{Type: c.readString(), Value: c.readString()}
	}
	*p = claims
}

// headers is a map of lists.
func (c *coder) headers(p *[]relay.Header) {
	if c.writing {
		c.n++
		c.b = msgp.AppendMapHeader(c.b, uint32(len(*p)))
		for i := range *p {
			c.b = msgp.AppendString(c.b, (*p)[i].Name)
			c.appendStrings((*p)[i].Values)
		}
		return
	}
	if !c.more() || c.isNil() {
		return
	}
	n := c.readMapHeader()
	if n == 0 {
		return
	}
	headers := make([]relay.Header, n)
	for i := 0; i < n && c.err == nil; i++ {
		headers[i].Name = c.readString()
		if !c.isNil() {
			headers[i].Values = c.readStrings(c.readArrayHeader())
		}
	}
	*p = headers
}

func (c *coder) appendStrings(list []string) {
	c.b = msgp.AppendArrayHeader(c.b, uint32(len(list)))
	for _, s := range list {
		c.b = msgp.AppendString(c.b, s)
	}
}

// readStrings reads n strings into the scratch. Lists of one message lie side
// by side there; when it is full it doubles, and lists made earlier keep the
// old one.
func (c *coder) readStrings(n int) []string {
	if n == 0 || c.err != nil {
		return nil
	}
	if cap(c.strings)-len(c.strings) < n {
		c.strings = make([]string, 0, max(n, 2*cap(c.strings)))
	}
	at := len(c.strings)
	c.strings = c.strings[:at+n]
	list := c.strings[at:]
	for i := 0; i < n && c.err == nil; i++ {
		list[i] = c.readString()
	}
	return list[:n:n]
}

// readArrayHeader returns the length of a list, zero after an error. A length
// that the frame cannot hold is one: each element takes a byte or more.
func (c *coder) readArrayHeader() int {
	n, rest, err := msgp.ReadArrayHeaderBytes(c.b)
	if err == nil && uint64(n) > uint64(len(rest)) {
		err = msgp.ErrShortBytes
	}
	if err != nil {
		c.fail(err)
		return 0
	}
	c.b = rest
	return int(n)
}

// readMapHeader is readArrayHeader for maps, whose entries take two bytes or
// more.
func (c *coder) readMapHeader() int {
	n, rest, err := msgp.ReadMapHeaderBytes(c.b)
	if err == nil && 2*uint64(n) > uint64(len(rest)) {
		err = msgp.ErrShortBytes
	}
	if err != nil {
		c.fail(err)
		return 0
	}
	c.b = rest
	return int(n)
}
