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

// MayReconnect reads the Close that ended a client.
func MayReconnect(err error) bool {
	var e *closeError
	return errors.As(err, &e) && e.AllowReconnect
}

type (
	CPUTime = cpuTime
	Memory  = memory
)
