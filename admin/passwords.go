package admin

import (
	"context"
	"errors"
	"runtime"
)

// maxWaiting is how many logins wait for a hash at once; more are turned away.
const maxWaiting = 16

// errBusy: too many logins at once.
var errBusy = errors.New("admin: too many logins at once")

// passwords checks passwords, a few at a time: hashing takes much memory and time by design, and
// there must be enough of both left for the API that the dashboard stands beside.
type passwords struct {
	matches func(password string) bool
	slots   chan struct{} // one for each hash that is being computed
	queue   chan struct{} // one for each login that is here
}

func newPasswords(matches func(string) bool) *passwords {
	slots := min(2, max(1, runtime.GOMAXPROCS(0)/2))
	return &passwords{matches: matches, slots: make(chan struct{}, slots), queue: make(chan struct{}, slots+maxWaiting)}
}

// check reports whether it is the password. The error is errBusy, or that of ctx.
func (p *passwords) check(ctx context.Context, password string) (bool, error) {
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return false, errBusy
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return p.matches(password), nil
}
