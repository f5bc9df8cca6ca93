package sampleapp

import "time"

// Tick is the heartbeat of one client of ChatHub at a time of the test's choice;
// false when there is no such client.
func (a *App) Tick(id string, now time.Time) bool {
	c := a.chat.hub.client(id)
	if c != nil {
		c.tick(now)
	}
	return c != nil
}

// Held is how many bytes of uploads and how many calls of a client wait.
func (a *App) Held(id string) (bytes, queued int) {
	cs := &a.chat.hub.client(id).calls
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.held, len(cs.queue)
}

// Limits of one client.
const (
	MaxQueued   = maxQueued
	MaxUploaded = maxUploaded
)
