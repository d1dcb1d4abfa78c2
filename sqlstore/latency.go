package sqlstore

import (
	"context"
	"sync/atomic"
	"time"
)

// defaultSilence is the time without an answer after which a connection is suspected to be dead,
// unless the network is known to be slow.
const defaultSilence = time.Second

// A latency estimates how long the database takes to answer.
type latency struct{ recent atomic.Int64 }

// observe records the duration of an operation. A faster one replaces the estimate at once and a
// slower one raises it gradually, because most operations are short.
func (l *latency) observe(took time.Duration) {
	recent := l.recent.Load()
	if d := int64(took); recent == 0 || d < recent {
		l.recent.Store(max(d, 1))
	} else {
		l.recent.Store(recent + (d-recent)/8)
	}
}

// suspicion returns a timer that fires when a silent connection is suspected to be dead. It also
// reports whether the attempt on that connection may then be canceled. The timer never fires if
// half of the remaining time is too short to tell a dead connection from a slow network. Opening a
// connection takes about eight times as long as an answer.
func (l *latency) suspicion(ctx context.Context) (suspect *time.Timer, cancelable bool) {
	deadline, _ := ctx.Deadline()
	half := time.Until(deadline) / 2
	recent := time.Duration(l.recent.Load())
	if half < 2*recent {
		suspect = time.NewTimer(time.Hour)
		suspect.Stop()
		return suspect, false
	}
	if recent == 0 {
		return time.NewTimer(min(half, defaultSilence)), false
	}
	return time.NewTimer(min(half, max(defaultSilence, 4*recent))), half >= 8*recent
}

// pingTimeout bounds how long an idle connection may take to answer a ping.
func (l *latency) pingTimeout() time.Duration {
	const shortest, longest = 200 * time.Millisecond, 2500 * time.Millisecond
	recent := time.Duration(l.recent.Load())
	if recent == 0 {
		return defaultSilence
	}
	return min(max(shortest, 2*recent), longest)
}
