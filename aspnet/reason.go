package aspnet

import (
	"errors"

	"github.com/signalrelay/signalrelay/relay"
	"github.com/signalrelay/signalrelay/transport"
)

// CategoryOf says why a client ended, by the error with which its Conn did.
func CategoryOf(err error) relay.Category {
	switch {
	case errors.Is(err, transport.ErrSlow):
		return relay.SlowClient
	case errors.Is(err, transport.ErrTimeout):
		return relay.PingTimeout
	case errors.Is(err, transport.ErrProtocol), errors.Is(err, transport.ErrTooLarge):
		return relay.BadRequest
	case errors.Is(err, transport.ErrPanic):
		return relay.ServiceTransientError
	}
	return relay.Normal
}
