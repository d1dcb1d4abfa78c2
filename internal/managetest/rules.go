package managetest

import (
	"slices"
	"sync"

	"github.com/latchkey-dev/apikey/manage"
)

// administrator and alice are the sessions that most rules need.
func (f *fixture) administrator() *manage.Session { return f.as(accesses[0].access) }
func (f *fixture) alice() *manage.Session         { return f.as(accesses[2].access) }

// want checks the name of an error.
func (f *fixture) want(call string, err error, want string) {
	f.t.Helper()
	if got := nameOf(err); got != want {
		f.t.Errorf("%s: %s; want %s", call, got, want)
	}
}

// concurrently runs g n times at once.
func concurrently(n int, g func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { g(i) })
	}
	wg.Wait()
}

// A rule is a test that a Desk passes over every store.
type rule struct {
	name string
	test func(f *fixture)
}

var rules = slices.Concat(accessRules, requestRules, historyRules)
