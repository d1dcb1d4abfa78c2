package declare

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/rehearsal"
	"github.com/latchkey-dev/apikey/manage"
)

// A step makes one key agree with the file.
type step struct {
	Action  action               `json:"action"`
	Name    string               `json:"name"`
	ID      string               `json:"id,omitempty"`
	Changes []apikey.FieldChange `json:"changes,omitempty"`

	line    int
	key     apikey.ImportedKey
	digest  apikey.Digest
	patch   apikey.Patch
	version string // of the key that the patch changes
}

type action string

const (
	create    action = "create"
	update    action = "update"
	revoke    action = "revoke"
	unchanged action = "unchanged"
)

// A planner compares a file with the database.
type planner struct {
	set     *set
	manager apikey.KeyManager
	finder  apikey.SuccessorFinder
	now     time.Time
}

// plan returns the steps that make the database agree with the file: first the steps for declared keys, in the order
// of the file, and then revocations. It checks everything before the first step, so that an invalid file changes
// nothing.
func (p *planner) plan(ctx context.Context, issuer *apikey.Issuer) ([]step, error) {
	rehearse, err := rehearsal.New(issuer)
	if err != nil {
		return nil, err
	}
	lines := map[apikey.Digest]int{}
	var steps []step
	for i := range p.set.Keys {
		d := &p.set.Keys[i]
		imported, err := d.imported(p.set.Name, p.now)
		if err != nil {
			return nil, err
		}
		digest, _, err := rehearse.Import(ctx, imported)
		if err != nil {
			return nil, d.refused(err, imported, issuer.Format())
		}
		if first, ok := lines[digest]; ok {
			return nil, problem(d.line, "the same key as in line %d", first)
		}
		lines[digest] = d.line
		s, err := p.step(ctx, d.line, digest, imported)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	if p.set.Prune == "" {
		return steps, nil
	}
	return p.addRevocations(ctx, steps)
}

// step returns the step for one declared key.
func (p *planner) step(ctx context.Context, line int, d apikey.Digest, k apikey.ImportedKey) (step, error) {
	s := step{Action: create, Name: k.Name, line: line, key: k, digest: d}
	var current apikey.Key
	found, err := p.manager.Lookup(ctx, d)
	switch {
	case errors.Is(err, apikey.ErrNotFound):
	case err != nil:
		return s, err
	default:
		current = *found
		s.ID, s.version = current.ID, manage.Version(current)
	}
	if !current.RevokedAt.IsZero() {
		return s, problem(line, "key %s is revoked, and a revoked key stays revoked", current.ID)
	}
	if other := current.Metadata[declaredBy]; other != "" && other != p.set.Name {
		return s, problem(line, "key %s belongs to the set %q", current.ID, other)
	}
	suspended := !k.SuspendedAt.IsZero()
	s.patch = apikey.Patch{Name: &k.Name, Owner: &k.Owner, Scopes: &k.Scopes, Networks: &k.Networks, Limits: &k.Limits,
		Metadata: &k.Metadata, ExpiresAt: &k.ExpiresAt, Suspended: &suspended}
	next, err := s.patch.Apply(current, p.now)
	if err != nil {
		return s, problem(line, "%s", withoutValues(err))
	}
	if s.ID != "" && !current.ExpiresAt.IsZero() && (next.ExpiresAt.IsZero() || next.ExpiresAt.After(current.ExpiresAt)) {
		if err := p.checkRotation(ctx, line, s.ID); err != nil {
			return s, err
		}
	}
	s.Changes = apikey.FieldChanges(&current, &next)
	switch {
	case s.ID != "" && len(s.Changes) == 0:
		s.Action = unchanged
	case s.ID != "":
		s.Action = update
	}
	return s, nil
}

// checkRotation returns an error if a key was rotated, because a later expiry would undo the rotation. It permits the later
// expiry if the successor, and every successor of a revoked one, is revoked or deleted.
func (p *planner) checkRotation(ctx context.Context, line int, id string) error {
	for last, seen := id, map[string]bool{}; !seen[last]; {
		seen[last] = true
		successors, err := p.finder.Successors(ctx, []string{last})
		if err != nil || successors[last] == "" {
			return err
		}
		last = successors[last]
		switch successor, err := p.manager.Get(ctx, last); {
		case errors.Is(err, apikey.ErrNotFound):
			return nil
		case err != nil:
			return err
		case successor.RevokedAt.IsZero():
			return rotated(line, id, last)
		}
	}
	return nil
}

func rotated(line int, id, successor string) error {
	return problem(line, "key %s was rotated; declare its successor %s instead, or revoke that", id, successor)
}

// addRevocations adds the steps for keys that the set declared before.
func (p *planner) addRevocations(ctx context.Context, steps []step) ([]step, error) {
	lines := map[string]int{} // of the declared keys
	for _, s := range steps {
		if s.ID != "" {
			lines[s.ID] = s.line
		}
	}
	for key, err := range apikey.Keys(ctx, p.manager, apikey.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		if key.Metadata[declaredBy] == p.set.Name && key.RevokedAt.IsZero() && lines[key.ID] == 0 {
			first, err := p.declaredFirst(ctx, key, lines)
			if err != nil {
				return nil, err
			}
			if first != "" {
				return nil, rotated(lines[first], first, key.ID) // a successor inherits the metadata of the old key
			}
			steps = append(steps, step{Action: revoke, Name: key.Name, ID: key.ID})
		}
	}
	return steps, nil
}

// declaredFirst returns the ID of the declared key from which a key was rotated, perhaps several times, or "".
func (p *planner) declaredFirst(ctx context.Context, key apikey.Key, lines map[string]int) (id string, err error) {
	for seen := map[string]bool{}; key.Replaces != "" && !seen[key.Replaces]; {
		id = key.Replaces
		if lines[id] != 0 {
			return id, nil
		}
		seen[id] = true
		if key, err = p.manager.Get(ctx, id); errors.Is(err, apikey.ErrNotFound) {
			return "", nil
		} else if err != nil {
			return "", err
		}
	}
	return "", nil
}

// maxTries bounds the repetitions of a step that meets another apply.
const maxTries = 5

// apply executes a step. If another process changed the key in the meantime, for example another
// container with the same file, apply compares it again.
func (p *planner) apply(ctx context.Context, issuer *apikey.Issuer, session *manage.Session, s step) (step, error) {
	for range maxTries {
		var key apikey.Key
		var err error
		switch s.Action {
		case unchanged:
			return s, nil
		case create:
			key, err = issuer.Import(ctx, s.key)
		case update:
			key, err = session.Update(ctx, s.ID, s.version, s.patch)
		case revoke:
			key, err = session.Revoke(ctx, s.ID)
		}
		if err == nil {
			s.ID = key.ID
			return s, nil
		}
		if !errors.Is(err, apikey.ErrExists) && !errors.Is(err, manage.ErrChanged) {
			return s, fmt.Errorf("%s %s: %w", s.Action, s.Name, err)
		}
		if s, err = p.step(ctx, s.line, s.digest, s.key); err != nil {
			return s, err
		}
	}
	return s, fmt.Errorf("%s %s: %w", s.Action, s.Name, manage.ErrChanged)
}
