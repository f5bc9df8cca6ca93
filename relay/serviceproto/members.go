package serviceproto

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

// A GroupMember is one connection of a group.
type GroupMember struct {
	ConnectionID string
	UserID       string // empty for a client without a user
}

// AppendGroupMembers appends the Data of the [Ack] that answers a
// [GroupMemberQuery]: a page of members and, when there are more, the token of
// the next page (service-protocol 4.4, 40). Empty texts are written as nil.
func AppendGroupMembers(dst []byte, members []GroupMember, continuationToken string) []byte {
	c := coder{writing: true, b: dst}
	c.b = msgp.AppendArrayHeader(c.b, 2)
	c.b = msgp.AppendArrayHeader(c.b, uint32(len(members)))
	for i := range members {
		c.b = msgp.AppendArrayHeader(c.b, 2)
		c.str(&members[i].ConnectionID)
		c.strOrNil(&members[i].UserID)
	}
	c.strOrNil(&continuationToken)
	return c.b
}

// ReadGroupMembers reads what AppendGroupMembers wrote. Its strings point into
// data.
func ReadGroupMembers(data []byte) (members []GroupMember, continuationToken string, err error) {
	c := coder{b: data}
	if n := c.readArrayHeader(); n < 2 && c.err == nil {
		c.fail(fmt.Errorf("%d elements, want 2", n))
	}
	for n := c.readArrayHeader(); n > 0 && c.err == nil; n-- {
		var m GroupMember
		c.n = c.readArrayHeader()
		c.str(&m.ConnectionID)
		c.str(&m.UserID)
		for c.more() {
			c.skip()
		}
		members = append(members, m)
	}
	c.n = 1
	c.str(&continuationToken)
	if c.err != nil {
		return nil, "", fmt.Errorf("read group members: %w", c.err)
	}
	return members, continuationToken, nil
}
