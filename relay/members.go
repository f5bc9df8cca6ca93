package relay

import "sync"

// members is a set of clients that keeps them in a slice, so that taking a
// copy for a broadcast is one memory move. It is safe for concurrent use.
type members struct {
	mu   sync.RWMutex
	list []*Client
	at   map[*Client]int // position in list; made when the list grows past linear
}

// linear is the size up to which searching the slice beats a map, and costs
// no memory: most users have one connection.
const linear = 16

func (m *members) find(c *Client) int {
	if m.at != nil {
		if i, ok := m.at[c]; ok {
			return i
		}
		return -1
	}
	for i, x := range m.list {
		if x == c {
			return i
		}
	}
	return -1
}

func (m *members) add(c *Client) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.find(c) >= 0 {
		return false
	}
	m.list = append(m.list, c)
	if m.at == nil && len(m.list) > linear {
		m.at = make(map[*Client]int, 2*len(m.list))
		for i, x := range m.list {
			m.at[x] = i
		}
	} else if m.at != nil {
		m.at[c] = len(m.list) - 1
	}
	return true
}

// remove takes c out and says whether it was there; the order of the others
// may change.
func (m *members) remove(c *Client) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := m.find(c)
	if i < 0 {
		return false
	}
	last := len(m.list) - 1
	m.list[i] = m.list[last]
	m.list[last] = nil
	m.list = m.list[:last]
	if m.at != nil {
		delete(m.at, c)
		if i != last {
			m.at[m.list[i]] = i
		}
	}
	return true
}

func (m *members) has(c *Client) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.find(c) >= 0
}

func (m *members) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.list)
}

// appendTo appends all members to dst.
func (m *members) appendTo(dst []*Client) []*Client {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return append(dst, m.list...)
}
