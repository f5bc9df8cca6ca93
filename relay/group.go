package relay

import (
	"slices"
	"strings"
	"time"
)

// A user is what the hub knows of one user id: its present connections, and
// the groups that connections to come will join (service-protocol 9.4).
type user struct {
	members
	groups map[string]time.Time // group to the end of automatic joining; zero = no end. Guarded by the users shard.
}

// addUser notes a client under its user and returns the groups that it is to
// join; c.mu is held.
func (h *Hub) addUser(c *Client) (join []string) {
	h.users.change(c.User, func(u *user, ok bool) (*user, bool) {
		if !ok {
			u = &user{}
		}
		u.add(c)
		now := time.Now()
		for g, until := range u.groups {
			if until.IsZero() || until.After(now) {
				join = append(join, g)
			} else {
				delete(u.groups, g)
			}
		}
		return u, true
	})
	return join
}

func (h *Hub) removeUser(c *Client) {
	h.users.change(c.User, func(u *user, ok bool) (*user, bool) {
		if !ok {
			return nil, false
		}
		u.remove(c)
		return u, u.len() > 0 || len(u.groups) > 0
	})
}

// joinGroup makes a client a member; false when it has ended.
func (h *Hub) joinGroup(c *Client, group string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	if slices.Contains(c.groups, group) {
		return true
	}
	group = strings.Clone(group) // the name outlives the frame it came in
	c.groups = append(c.groups, group)
	h.groups.change(group, func(g *members, ok bool) (*members, bool) {
		if !ok {
			g = &members{}
		}
		g.add(c)
		return g, true
	})
	return true
}

func (h *Hub) leaveGroup(c *Client, group string) {
	h.groups.change(group, func(g *members, ok bool) (*members, bool) {
		if !ok {
			return nil, false
		}
		g.remove(c)
		return g, g.len() > 0
	})
}

// leave ends a client's membership of one group or of all; false when the
// client has ended.
func (h *Hub) leave(c *Client, group string, all bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	if all {
		for _, g := range c.groups {
			h.leaveGroup(c, g)
		}
		c.groups = nil
		return true
	}
	if i := slices.Index(c.groups, group); i >= 0 {
		c.groups = slices.Delete(c.groups, i, i+1)
		h.leaveGroup(c, group)
	}
	return true
}

func (h *Hub) member(m *Member) bool {
	if m.Scope == Users {
		return h.memberUser(m)
	}
	c := h.Client(m.Name)
	switch {
	case c == nil:
		return false
	case m.Join:
		return c.hub.joinGroup(c, m.Group) // its own hub has its groups; see Connect.Also
	}
	return c.hub.leave(c, m.Group, m.All)
}

func (h *Hub) memberUser(m *Member) bool {
	var present []*Client
	h.users.change(m.Name, func(u *user, ok bool) (*user, bool) {
		if !ok {
			u = &user{}
		}
		present = u.appendTo(nil)
		switch {
		case m.Join && (m.Expires.IsZero() || m.Expires.After(time.Now())):
			if u.groups == nil {
				u.groups = map[string]time.Time{}
			}
			u.groups[strings.Clone(m.Group)] = m.Expires
			h.forgetTag(m)
		case m.All:
			u.groups = nil
		default:
			delete(u.groups, m.Group)
		}
		return u, u.len() > 0 || len(u.groups) > 0
	})
	for _, c := range present {
		if m.Join {
			c.hub.joinGroup(c, m.Group)
		} else {
			c.hub.leave(c, m.Group, m.All)
		}
	}
	return true
}

// forgetTag ends the automatic joining of a user when its time is over, also
// for a user who never comes.
func (h *Hub) forgetTag(m *Member) {
	if m.Expires.IsZero() {
		return
	}
	id, group, until := strings.Clone(m.Name), strings.Clone(m.Group), m.Expires
	time.AfterFunc(time.Until(until), func() { // does not block
		h.users.change(id, func(u *user, ok bool) (*user, bool) {
			if !ok {
				return nil, false
			}
			if u.groups[group].Equal(until) { // not if it was joined again since
				delete(u.groups, group)
			}
			return u, u.len() > 0 || len(u.groups) > 0
		})
	})
}

func (h *Hub) exists(m *Check) bool {
	switch m.Scope {
	case Connections:
		return h.Client(m.Name) != nil
	case Groups:
		_, ok := h.groups.get(m.Name)
		return ok
	case Users:
		u, ok := h.users.get(m.Name)
		if !ok || m.Group == "" {
			return ok && u.len() > 0
		}
		return h.userInGroup(m.Name, m.Group)
	}
	return false
}

func (h *Hub) userInGroup(id, group string) bool {
	in := false
	var present []*Client
	h.users.change(id, func(u *user, ok bool) (*user, bool) {
		if ok {
			until, tagged := u.groups[group]
			in = tagged && (until.IsZero() || until.After(time.Now()))
			present = u.appendTo(nil)
		}
		return u, ok
	})
	for _, c := range present {
		c.mu.Lock()
		in = in || slices.Contains(c.groups, group)
		c.mu.Unlock()
	}
	return in
}

// listGroup pages through a group in the order of connection ids.
func (h *Hub) listGroup(m *List) Result {
	g, ok := h.groups.get(m.Group)
	if !ok {
		return Result{Found: false}
	}
	all := g.appendTo(nil)
	slices.SortFunc(all, func(a, b *Client) int { return strings.Compare(a.ID, b.ID) })
	if m.From != "" {
		at, found := slices.BinarySearchFunc(all, m.From, func(c *Client, id string) int { return strings.Compare(c.ID, id) })
		if found {
			at++
		}
		all = all[at:]
	}
	r := Result{Found: true}
	if m.Limit > 0 && len(all) > m.Limit {
		all = all[:m.Limit]
		r.Next = all[m.Limit-1].ID
	}
	for _, c := range all {
		r.Members = append(r.Members, GroupMember{Connection: c.ID, User: c.User, HasUser: c.HasUser})
	}
	return r
}
