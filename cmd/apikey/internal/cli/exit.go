package cli

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/remote"
	"github.com/latchkey-dev/apikey/manage"
)

// The exit statuses.
const (
	ExitOK          = 0   // success
	ExitFailed      = 1   // a failure that is not listed below
	ExitUsage       = 2   // the arguments or the input are invalid
	ExitNotFound    = 3   // there is no such key
	ExitRefused     = 4   // a rule refuses the change, and repeating the command will not help
	ExitUnavailable = 5   // the database or server did not answer; nothing has changed, except by a command that changes many keys
	ExitUncertain   = 6   // the connection was lost, and the change may or may not have happened
	ExitChanged     = 7   // apply --exit-code: there were changes
	ExitUndelivered = 8   // the new secret could not be written, so the new key was revoked
	ExitInterrupted = 130 // a signal ended the command; nothing has changed
)

// ExitHelp explains the exit statuses to users.
const ExitHelp = `Exit status:
  0  success
  1  any other failure
  2  invalid arguments or input
  3  no such key
  4  refused by a rule; repeating the command does not help
  5  the database or server did not answer; nothing has changed, except by a command that changes many keys
  6  the connection was lost; the change may have happened
  7  apply --exit-code: there were changes
  8  the new secret could not be written; the new key was revoked
  130  interrupted; nothing has changed, except by a command that changes many keys`

// A usageError says that the arguments are invalid.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage returns an error about invalid arguments or input.
func Usage(err error) error { return usageError{err} }

// A changedError says that a command made changes, or would make them.
type changedError struct{ error }

// Changed returns the error of a command that made changes, for callers that ask for a status of its own.
func Changed(err error) error { return changedError{err} }

// A refusedError says that a rule refuses a change.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// Refused returns an error about a rule that refuses a change.
func Refused(err error) error { return refusedError{err} }

// An undeliveredError says that a new secret could not be written.
type undeliveredError struct{ error }

func (e undeliveredError) Unwrap() error { return e.error }

// Undelivered returns an error about a new secret that could not be written. The caller has revoked its key.
func Undelivered(err error) error { return undeliveredError{err} }

// statuses maps errors to exit statuses. The first that matches counts.
var statuses = []struct {
	status  int
	matches func(error) bool
}{
	{ExitUndelivered, isA[undeliveredError]},
	{ExitUncertain, is(apikey.ErrUncertain)},
	{ExitUsage, isA[usageError]},
	{ExitChanged, isA[changedError]},
	{ExitInterrupted, is(context.Canceled)},
	{ExitNotFound, is(apikey.ErrNotFound)},
	{ExitRefused, isA[refusedError]},
	{ExitRefused, is(remote.ErrUnauthorized)},
	{ExitRefused, is(manage.ErrRefused, manage.ErrChanged, apikey.ErrReplaced, apikey.ErrExists, apikey.ErrRevoked, apikey.ErrSuspended, apikey.ErrExpired)},
	{ExitUsage, is(apikey.ErrInvalid, apikey.ErrMalformed)},
	{ExitUnavailable, is(apikey.ErrUnavailable, context.DeadlineExceeded, driver.ErrBadConn)},
	{ExitUnavailable, isA[*net.OpError]},
	{ExitUnavailable, isA[*net.DNSError]},
	{ExitUsage, isUsageOfCobra},
}

// isUsageOfCobra recognises the errors of cobra that have no type.
func isUsageOfCobra(err error) bool {
	return slices.ContainsFunc([]string{"unknown command ", "required flag(s) ", "if any flags in the group "},
		func(begin string) bool { return strings.HasPrefix(err.Error(), begin) })
}

// ExitStatus returns the exit status for the error of a command.
func ExitStatus(err error) int {
	if err == nil {
		return ExitOK
	}
	for _, row := range statuses {
		if row.matches(err) {
			return row.status
		}
	}
	return ExitFailed
}

func isA[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

func is(targets ...error) func(error) bool {
	return func(err error) bool {
		return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
	}
}

// Input returns an error about invalid input. It returns an interruption unchanged.
func Input(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return usageError{err}
}
