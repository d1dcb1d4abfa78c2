package main

import (
	"regexp"
	"slices"
)

// A subject is one thing that is measured. The benchmarks and the command share the list
// of them.
type subject struct {
	name  string
	setup func(*fixture) (trial, error)

	floor string // the subject of the same group that it is a multiple of; "" is the group's first
	bare  string // the subject of the same group that does the same without a key
	goal  *goal  // nil: none was set

	told identity // how the handler learns who is calling
}

// An identity is what a peer tells the handler behind it about the caller.
type identity string

const (
	untold    identity = "none"
	inRouter  identity = "router's context" // only handlers written for that router find it
	inRequest identity = "request's context"
)

// A trial is a subject that is ready to be measured.
type trial struct {
	once   func()       // one request
	rewind func()       // what is done after a batch of them, and is not measured; nil is nothing
	check  func() error // whether once does what its name says; a fast 401 must not pass for a fast 200
}

// A goal is what a subject is to reach.
type goal struct {
	ratio  float64 // at most this many floors
	allocs int
	bytes  int // 0: not stated
}

// A group is measured interleaved, and its stores are in memory only while it is.
type group struct {
	name     string // as -run and the benchmarks know it
	title    string
	note     string
	keys     int // in its stores, if that is what it is about
	subjects []subject
}

// groups are all subjects. The sizes are groups of their own, since a million keys on the
// heap make the garbage collector run less often, which would flatter everything else.
func groups() []group {
	return []group{
		apikeyGroup(),
		refusalGroup(),
		peerGroup(),
		sizeGroup("Keys1k", "1 thousand keys", 1_000),
		sizeGroup("Keys100k", "100 thousand keys", 100_000),
		sizeGroup("Keys1M", "1 million keys", 1_000_000),
	}
}

// choose returns the subjects of g that match, and those that they are compared with.
func (g group) choose(match *regexp.Regexp) group {
	wanted := make(map[string]bool)
	for _, s := range g.subjects {
		if match.MatchString(g.name + "/" + s.name) {
			wanted[s.name], wanted[s.floor], wanted[s.bare] = true, true, true
			if s.bare != "" {
				wanted[ours], wanted[handlerAlone] = true, true
			}
		}
	}
	if len(wanted) == 0 {
		g.subjects = nil
		return g
	}
	wanted[g.subjects[0].name] = true
	g.subjects = slices.DeleteFunc(slices.Clone(g.subjects), func(s subject) bool { return !wanted[s.name] })
	return g
}

// index returns where the subject called name stands in the group.
func (g group) index(name string) int {
	return slices.IndexFunc(g.subjects, func(s subject) bool { return s.name == name })
}

// ready sets every subject of the group up and makes sure that it does what it says.
func (g group) ready(f *fixture) ([]trial, error) {
	trials := make([]trial, len(g.subjects))
	for i, s := range g.subjects {
		t, err := s.ready(f)
		if err != nil {
			return nil, err
		}
		trials[i] = t
	}
	return trials, nil
}
