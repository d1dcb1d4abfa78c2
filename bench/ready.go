package main

import (
	"fmt"
	"net/http"
)

// checking is set while a subject is checked and never while it is measured. Then a
// handler of a framework with a context of its own leaves in seen what it found out about
// the caller: that context is gone when the request is.
var (
	checking bool
	seen     any
)

// sawAccount tells what accepted asks, of such a handler.
func sawAccount(*http.Request) bool {
	a, _ := seen.(*account)
	return a != nil
}

// ready sets the subject up, and refuses to measure one that does not do what its name
// says. The check is made again after some requests, since they may leave a state behind.
func (s subject) ready(f *fixture) (trial, error) {
	t, err := s.setup(f)
	if err != nil {
		return trial{}, fmt.Errorf("%s: %w", s.name, err)
	}
	for range 3 {
		checking = true
		err := t.check()
		checking = false
		if err != nil {
			return trial{}, fmt.Errorf("%s: %w", s.name, err)
		}
		for range 10 {
			t.once()
		}
	}
	return t, nil
}
