package storetest_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/storetest"
)

// A broken store is a full store with some methods replaced. A nil field leaves the method of the full
// store in place.
type broken struct {
	*full
	mu    sync.Mutex // for the replacing methods
	count int        // for the replacing methods

	edit      func(*apikey.Key) // edits every returned key
	create    func(context.Context, apikey.Digest, apikey.Key) error
	lookup    func(context.Context, apikey.Digest) (*apikey.Key, error)
	get       func(context.Context, string) (apikey.Key, error)
	list      func(context.Context, apikey.ListOptions) (apikey.Page, error)
	update    func(context.Context, string, apikey.Patch) (apikey.Key, error)
	replace   func(context.Context, string, time.Time, apikey.Digest, apikey.Key) (apikey.Key, error)
	revoke    func(context.Context, string) (apikey.Key, error)
	revokeAll func(context.Context, string) (int, error)
	touch     func(apikey.Digest, apikey.Use)
	lookupAt  func(context.Context, apikey.Digest) (*apikey.Key, apikey.Version, error)
	changes   func(context.Context, apikey.Version) (apikey.Changes, error)
	subscribe func(func(apikey.Digest, apikey.Version)) func()
	audit     func(context.Context, apikey.AuditOptions) (apikey.AuditPage, error)

	sentNotices   func(context.Context, []string) (map[string]bool, error)
	claimNotice   func(context.Context, apikey.NoticeClaim) (bool, error)
	finishNotice  func(context.Context, apikey.NoticeClaim) error
	releaseNotice func(context.Context, apikey.NoticeClaim) error

	conditional func(apikey.Condition) apikey.KeyManager
}

// edited returns a key after edit.
func (b *broken) edited(key apikey.Key, err error) (apikey.Key, error) {
	if b.edit != nil && err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.edit(&key)
	}
	return key, err
}

// editedPointer is edited for a key that must not be modified.
func (b *broken) editedPointer(key *apikey.Key, err error) (*apikey.Key, error) {
	if b.edit != nil && key != nil {
		c, _ := b.edited(key.Clone(), nil)
		key = &c
	}
	return key, err
}

// or returns the broken method if there is one, otherwise the correct one.
func or[F any](isBroken bool, broken, correct F) F {
	if isBroken {
		return broken
	}
	return correct
}

func (b *broken) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return or(b.create != nil, b.create, b.full.Create)(ctx, d, key)
}

func (b *broken) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return b.editedPointer(or(b.lookup != nil, b.lookup, b.full.Lookup)(ctx, d))
}

func (b *broken) Get(ctx context.Context, id string) (apikey.Key, error) {
	return b.edited(or(b.get != nil, b.get, b.full.Get)(ctx, id))
}

func (b *broken) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	page, err := or(b.list != nil, b.list, b.full.List)(ctx, o)
	for i, key := range page.Keys {
		page.Keys[i], _ = b.edited(key, nil)
	}
	return page, err
}

func (b *broken) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return b.edited(or(b.update != nil, b.update, b.full.Update)(ctx, id, p))
}

func (b *broken) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	return b.edited(or(b.replace != nil, b.replace, b.full.Replace)(ctx, id, expiresAt, d, successor))
}

func (b *broken) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return b.edited(or(b.revoke != nil, b.revoke, b.full.Revoke)(ctx, id))
}

func (b *broken) RevokeAll(ctx context.Context, owner string) (int, error) {
	return or(b.revokeAll != nil, b.revokeAll, b.full.RevokeAll)(ctx, owner)
}

func (b *broken) Touch(d apikey.Digest, u apikey.Use) {
	or(b.touch != nil, b.touch, b.full.Touch)(d, u)
}

func (b *broken) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	key, at, err := or(b.lookupAt != nil, b.lookupAt, b.full.LookupAt)(ctx, d)
	key, err = b.editedPointer(key, err)
	return key, at, err
}

func (b *broken) Changes(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
	return or(b.changes != nil, b.changes, b.full.Changes)(ctx, since)
}

func (b *broken) Subscribe(f func(apikey.Digest, apikey.Version)) func() {
	return or(b.subscribe != nil, b.subscribe, b.full.Subscribe)(f)
}

func (b *broken) Audit(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	return or(b.audit != nil, b.audit, b.full.Audit)(ctx, o)
}

func (b *broken) SentNotices(ctx context.Context, ids []string) (map[string]bool, error) {
	return or(b.sentNotices != nil, b.sentNotices, b.full.SentNotices)(ctx, ids)
}

func (b *broken) ClaimNotice(ctx context.Context, c apikey.NoticeClaim) (bool, error) {
	return or(b.claimNotice != nil, b.claimNotice, b.full.ClaimNotice)(ctx, c)
}

func (b *broken) FinishNotice(ctx context.Context, c apikey.NoticeClaim) error {
	return or(b.finishNotice != nil, b.finishNotice, b.full.FinishNotice)(ctx, c)
}

func (b *broken) ReleaseNotice(ctx context.Context, c apikey.NoticeClaim) error {
	return or(b.releaseNotice != nil, b.releaseNotice, b.full.ReleaseNotice)(ctx, c)
}

func (b *broken) If(c apikey.Condition) apikey.KeyManager {
	return or(b.conditional != nil, b.conditional, b.full.If)(c)
}

// A defect is a fault of a store, with the rules that must fail because of it.
type defect struct {
	name  string
	rules []string
	apply func(*broken)
}

func allDefects() []defect {
	return slices.Concat(lookupDefects, createDefects, getDefects, listDefects, queryDefects, updateDefects, replaceDefects,
		revokeDefects, touchDefects, feedDefects, auditDefects, raceDefects, contextDefects, restrictDefects, noticeDefects, conditionalDefects)
}

// rules names the rules that a defect breaks.
func rules(names ...string) []string { return names }

// brokenStore is the environment variable that names the defect to a child process.
const brokenStore = "STORETEST_BROKEN_STORE"

// TestBroken checks that the suite fails for broken stores. It runs the suite in child processes,
// because a failing subtest would fail TestBroken.
func TestBroken(t *testing.T) {
	defects := allDefects()
	if name := os.Getenv(brokenStore); name != "" {
		for _, d := range defects {
			if d.name == name {
				storetest.Run(t, func(*testing.T) apikey.KeyManager {
					b := &broken{full: newFull()}
					d.apply(b)
					return b
				})
			}
		}
		return
	}
	seen := make(map[string]bool)
	for _, d := range defects {
		assert.False(t, seen[d.name], "two defects have the name %q; want unique names", d.name)
		seen[d.name] = true
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			wantCaught(t, "TestBroken", d.name, d.rules)
		})
	}
}

// wantCaught checks that a test fails in these rules for a broken store.
func wantCaught(t *testing.T, test, store string, rules []string) {
	t.Helper()
	var groups, names []string
	for _, rule := range rules {
		group, name, _ := strings.Cut(strings.ReplaceAll(rule, " ", "_"), "/")
		groups, names = append(groups, regexp.QuoteMeta(group)), append(names, regexp.QuoteMeta(name))
	}
	pattern := "^" + test + "$/^(" + strings.Join(groups, "|") + ")$/^(" + strings.Join(names, "|") + ")$"
	out, err := child(t, brokenStore+"="+store, "-test.run="+pattern)
	assert.Error(t, err, "the suite passed; want it to fail:\n%s", out)
	for _, rule := range rules {
		line := "--- FAIL: " + test + "/" + strings.ReplaceAll(rule, " ", "_") + " ("
		assert.True(t, bytes.Contains(out, []byte(line)), "the rule %q passed; want it to fail:\n%s", rule, out)
	}
}

// child runs tests of this binary in a child process.
func child(t *testing.T, env string, args ...string) ([]byte, error) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, append(args, "-test.count=1")...)
	cmd.Env = append(os.Environ(), env)
	out, err := cmd.CombinedOutput()
	if _, failed := err.(*exec.ExitError); !failed {
		require.NoError(t, err)
	}
	return out, err
}
