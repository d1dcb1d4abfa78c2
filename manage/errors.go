package manage

import "errors"

var (
	// ErrRefused means that the Access does not permit the change; see [RefusedError].
	ErrRefused = errors.New("manage: the access does not permit this change")
	// ErrChanged means that the key has changed since the caller read it. Nothing was written.
	ErrChanged = errors.New("manage: the key has changed since it was read")
)

// A Rule is a rule of an [Access] that a change would break.
type Rule string

// The rules.
const (
	RuleReadOnly Rule = "read_only" // the session may only read
	RuleScopes   Rule = "scopes"    // the session may not give one of the scopes
	RuleLifetime Rule = "lifetime"  // the key would live too long
	RuleKeys     Rule = "keys"      // the owner would have too many keys
	RuleOwner    Rule = "owner"     // the session may not choose this owner
	RuleResume   Rule = "resume"    // the session may not resume keys
	RuleNetworks Rule = "networks"  // the key would work outside of the networks of the Access
	RuleLimits   Rule = "limits"    // the session may not change the limits of use, or the key would lack one
	RuleMetadata Rule = "metadata"  // the session may not change this name in the metadata
)

// A RefusedError names the rule that a change would break. It matches [ErrRefused].
type RefusedError struct {
	Rule Rule
	// Field is the field of the key that breaks the rule, such as "Scopes"; "" if the rule concerns no
	// single field.
	Field string
	// Problem states the rule as a sentence that can be shown to the caller. It names no other owner.
	Problem string
}

// Error returns a text with the field and the problem.
func (e *RefusedError) Error() string {
	if e.Field == "" {
		return "manage: " + e.Problem
	}
	return "manage: " + e.Field + ": " + e.Problem
}

// Is reports whether target is ErrRefused.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }
