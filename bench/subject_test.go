package main

import (
	"bytes"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What is measured does what its name says: who is to be let in reaches the handler with
// an identity, who is to be refused gets a 401, and no peer takes a wrong key.
func TestSubjectsDoWhatTheySay(t *testing.T) {
	for _, g := range groups() {
		f := newFixture(few)
		t.Cleanup(func() {
			if err := f.close(); err != nil {
				t.Error(err)
			}
		})
		for _, s := range g.subjects {
			t.Run(g.name+"/"+s.name, func(t *testing.T) {
				if _, err := s.ready(f); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

// A subject that answers 401 where 200 is expected, or forgets the identity, is found out.
func TestWrongSubjectsAreFoundOut(t *testing.T) {
	refused := headerPeer("knows no key", "", untold, nil, func(map[string]*account) http.Handler {
		return newHandwritten(nil)
	})
	forgetful := headerPeer("tells the handler nothing", "", inRouter, sawAccount, newHandwritten)
	open := headerPeer("takes every key", "", untold, nil, func(map[string]*account) http.Handler {
		return http.HandlerFunc(serve)
	})
	for _, s := range []subject{refused, forgetful, open} {
		t.Run(s.name, func(t *testing.T) {
			if _, err := s.ready(newFixture(few)); err == nil || !strings.Contains(err.Error(), s.name) {
				t.Fatalf("got %v, want an error that names the subject", err)
			}
		})
	}
}

func TestSubjectsAreNamedOnceAndComparedWithWhatIsThere(t *testing.T) {
	for _, g := range groups() {
		seen := make(map[string]bool)
		for _, s := range g.subjects {
			if seen[s.name] {
				t.Errorf("%s/%s is there twice", g.name, s.name)
			}
			seen[s.name] = true
			for _, other := range []string{s.floor, s.bare} {
				if other != "" && g.index(other) < 0 {
					t.Errorf("%s/%s is compared with %q, which is not in its group", g.name, s.name, other)
				}
			}
		}
	}
}

// The command prints a row for what was chosen, and for what that is compared with.
func TestTables(t *testing.T) {
	for _, test := range []struct {
		run  string
		want []string
		not  []string
	}{
		{"^APIKey/bare$", []string{"## This package", "| floor |", "| bare |"}, []string{"pepper", "## Peers", "## Memory"}},
		{"^Peers/Echo v5 KeyAuth, Context.Set$", []string{"| Echo v5 KeyAuth, Context.Set |", "| " + ours + " |"}, []string{"Echo v4", "| floor |"}},
		{"^Keys1k/everything on, keys in random order$", []string{"| floor, keys in random order |", "| everything on, keys in random order |"}, nil},
		{"^Memory$", []string{"bytes a key"}, []string{"| floor"}},
	} {
		t.Run(test.run, func(t *testing.T) {
			var out bytes.Buffer
			o := options{pace: calm(2, 100*time.Microsecond), most: few, requests: true, match: regexp.MustCompile(test.run)}
			if err := all(&out, o); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
			for _, not := range test.not {
				if strings.Contains(out.String(), not) {
					t.Errorf("%q in\n%s", not, out.String())
				}
			}
		})
	}
	if err := (options{pace: busy(1)}).command(&bytes.Buffer{}, "no such subject"); err == nil {
		t.Error("nothing was measured, and that was no error")
	}
}
