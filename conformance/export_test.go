package conformance

import (
	"reflect"
	"time"

	sp "github.com/signalrelay/signalrelay/relay/serviceproto"
)

// EachText replaces every text and byte slice of a message.
func EachText(m sp.Message, f func(string) string) { eachText(reflect.ValueOf(m), f) }

// Expanded is a copy of a message with its repetitions written out.
func Expanded(m sp.Message) sp.Message {
	m = cloneMessage(m)
	EachText(m, func(s string) string {
		s, _ = captures{}.expand(s, time.Time{})
		return s
	})
	return m
}
