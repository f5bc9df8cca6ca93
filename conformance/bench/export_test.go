package bench

import (
	"errors"
	"slices"
)

// For the tests of what is pure.
var (
	ParseStat   = parseStat
	ParseStatus = parseStatus
	Listening   = listening
	Listener    = listener
	ReadCPU     = readCPU
	StatOf      = statOf
	Percentile  = percentile
	References  = references

	ParseCloseCount = parseCloseCount
)

// Split feeds a client what came in parts, and returns the kinds of its hub messages and the bytes of the last one
// that is not whole. It stops at the first error, as a client does.
func Split(parts ...[]byte) (kinds, rest []byte, err error) {
	var c client
	for _, p := range parts {
		// The reader's buffer is used again for what comes next.
		p = slices.Clone(p)
		err = c.feed(p, func(kind byte) error { kinds = append(kinds, kind); return nil })
		clear(p)
		if err != nil {
			return kinds, nil, err
		}
	}
	return kinds, c.rest, nil
}

// Frame returns the kinds of what a frame of ASP.NET SignalR holds. It stops at the first error.
func Frame(p []byte) (kinds []byte, err error) {
	var c client
	err = c.feedFrame(p, func(kind byte) error { kinds = append(kinds, kind); return nil })
	return kinds, err
}

// IsClose says whether an error is the hub's last word.
func IsClose(err error) bool {
	var e *closeError
	return errors.As(err, &e)
}

// MayReconnect reads the Close that ended a client.
func MayReconnect(err error) bool {
	var e *closeError
	return errors.As(err, &e) && e.AllowReconnect
}

type (
	CPUTime = cpuTime
	Memory  = memory
)
