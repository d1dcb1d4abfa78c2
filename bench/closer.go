package main

import "errors"

// A closer ends what was begun, the last first.
type closer struct{ ends []func() error }

func (c *closer) later(end func() error) { c.ends = append(c.ends, end) }

func (c *closer) close() error {
	var failed error
	for ; len(c.ends) > 0; c.ends = c.ends[:len(c.ends)-1] {
		failed = errors.Join(failed, c.ends[len(c.ends)-1]())
	}
	return failed
}
