package storetest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/storetest"
)

// A broken store is a full one of which some methods are replaced. What is nil is right.
type broken struct {
	*full
	mu    sync.Mutex // for whoever breaks it
	count int

	see       func(*apikey.Key) // changes every key that is handed out
	create    func(context.Context, apikey.Digest, apikey.Key) error
	lookup    func(context.Context, apikey.Digest) (*apikey.Key, error)
	get       func(context.Context, string) (apikey.Key, error)
	list      func(context.Context, apikey.ListOptions) (apikey.Page, error)
	update    func(context.Context, string, apikey.Patch) (apikey.Key, error)
	replace   func(context.Context, string, time.Time, apikey.Digest, apikey.Key) (apikey.Key, error)
	revoke    func(context.Context, string) (apikey.Key, error)
	touch     func(apikey.Digest, time.Time)
	lookupAt  func(context.Context, apikey.Digest) (*apikey.Key, apikey.Cursor, error)
	changes   func(context.Context, apikey.Cursor) (apikey.Changes, error)
	subscribe func(func(apikey.Digest, apikey.Cursor)) func()
	audit     func(context.Context, string, string, int) ([]apikey.AuditEntry, string, error)
}

// shown is a key as it is handed out.
func (b *broken) shown(key apikey.Key, err error) (apikey.Key, error) {
	if b.see != nil && err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.see(&key)
	}
	return key, err
}

func (b *broken) shared(key *apikey.Key, err error) (*apikey.Key, error) {
	if b.see != nil && key != nil {
		c, _ := b.shown(key.Clone(), nil)
		key = &c
	}
	return key, err
}

// or is the method of a broken store, unless it is right.
func or[F any](isBroken bool, broken, right F) F {
	if isBroken {
		return broken
	}
	return right
}

func (b *broken) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return or(b.create != nil, b.create, b.full.Create)(ctx, d, key)
}

func (b *broken) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return b.shared(or(b.lookup != nil, b.lookup, b.full.Lookup)(ctx, d))
}

func (b *broken) Get(ctx context.Context, id string) (apikey.Key, error) {
	return b.shown(or(b.get != nil, b.get, b.full.Get)(ctx, id))
}

func (b *broken) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	page, err := or(b.list != nil, b.list, b.full.List)(ctx, o)
	for i, key := range page.Keys {
		page.Keys[i], _ = b.shown(key, nil)
	}
	return page, err
}

func (b *broken) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return b.shown(or(b.update != nil, b.update, b.full.Update)(ctx, id, p))
}

func (b *broken) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	return b.shown(or(b.replace != nil, b.replace, b.full.Replace)(ctx, id, expiresAt, d, successor))
}

func (b *broken) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return b.shown(or(b.revoke != nil, b.revoke, b.full.Revoke)(ctx, id))
}

func (b *broken) Touch(d apikey.Digest, at time.Time) {
	or(b.touch != nil, b.touch, b.full.Touch)(d, at)
}

func (b *broken) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	key, at, err := or(b.lookupAt != nil, b.lookupAt, b.full.LookupAt)(ctx, d)
	key, err = b.shared(key, err)
	return key, at, err
}

func (b *broken) Changes(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
	return or(b.changes != nil, b.changes, b.full.Changes)(ctx, since)
}

func (b *broken) Subscribe(f func(apikey.Digest, apikey.Cursor)) func() {
	return or(b.subscribe != nil, b.subscribe, b.full.Subscribe)(f)
}

func (b *broken) Audit(ctx context.Context, keyID, cursor string, limit int) ([]apikey.AuditEntry, string, error) {
	return or(b.audit != nil, b.audit, b.full.Audit)(ctx, keyID, cursor, limit)
}

// A defect is what is wrong with a store, and the rules that it breaks.
type defect struct {
	name  string
	rules []string
	make  func(*broken)
}

func one(rule string) []string { return []string{rule} }

// brokenStore names the defect, to the process that this test starts.
const brokenStore = "STORETEST_BROKEN_STORE"

// TestBroken proves that the suite catches broken stores. Tests that must fail cannot be
// run in the process that is to succeed, so each has one of its own.
func TestBroken(t *testing.T) {
	defects := allDefects()
	if name := os.Getenv(brokenStore); name != "" {
		for _, d := range defects {
			if d.name == name {
				storetest.Run(t, func(*testing.T) apikey.KeyManager {
					b := &broken{full: newFull()}
					d.make(b)
					return b
				})
			}
		}
		return
	}
	seen := make(map[string]bool)
	for _, d := range defects {
		if seen[d.name] {
			t.Errorf("two defects have the name %q", d.name)
		}
		seen[d.name] = true
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			caught(t, "TestBroken", d.name, d.rules)
		})
	}
}

// caught checks that a test fails in these rules when it is given a broken store.
func caught(t *testing.T, test, store string, rules []string) {
	t.Helper()
	var groups, names []string
	for _, rule := range rules {
		group, name, _ := strings.Cut(strings.ReplaceAll(rule, " ", "_"), "/")
		groups, names = append(groups, regexp.QuoteMeta(group)), append(names, regexp.QuoteMeta(name))
	}
	pattern := "^" + test + "$/^(" + strings.Join(groups, "|") + ")$/^(" + strings.Join(names, "|") + ")$"
	out, err := child(t, brokenStore+"="+store, "-test.run="+pattern)
	if err == nil {
		t.Errorf("the suite passed:\n%s", out)
	}
	for _, rule := range rules {
		line := "--- FAIL: " + test + "/" + strings.ReplaceAll(rule, " ", "_") + " ("
		if !bytes.Contains(out, []byte(line)) {
			t.Errorf("the rule %q was not broken:\n%s", rule, out)
		}
	}
}

// child runs tests of this binary in a process of their own.
func child(t *testing.T, env string, args ...string) ([]byte, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, append(args, "-test.count=1")...)
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); err != nil && !failed {
		t.Fatal(err)
	}
	return out, err
}
