package limit

import (
	"context"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A Backend counts requests. It is safe for concurrent use. [Memory] and [Redis] are Backends.
type Backend interface {
	// Take spends cost on each limit of a subject or, if that would exceed one of them, on no limit. It is
	// atomic. The limits are valid, and at most [MaxLimits]. A cost of 0 spends nothing. After an error the
	// cost may have been spent.
	Take(ctx context.Context, subject string, limits []apikey.Limit, cost int64) (Result, error)
}

// A Result is the answer of a Backend.
type Result struct {
	Permitted bool             // whether every limit permits the cost
	Limits    int              // the number of States that are set
	States    [MaxLimits]State // in the order of the limits
}

// A State is the state of one limit after a call of Take.
type State struct {
	Remaining int64         // requests that are permitted now
	Reset     time.Duration // until the limit has refilled, or until its day or month ends
	// Wait is the time until the refused cost is permitted. It is 0 if this limit permitted it, and -1 if
	// the limit never permits it, because it permits fewer requests at once.
	Wait time.Duration
}
