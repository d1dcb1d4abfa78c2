package cli

import (
	"errors"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// The exit statuses.
const (
	ExitOK          = 0 // the command did what it was asked for
	ExitFailed      = 1 // it failed for another reason than those below
	ExitUsage       = 2 // the arguments are invalid
	ExitNotFound    = 3 // there is no such key
	ExitRefused     = 4 // a rule refuses the change, and repeating the command will not help
	ExitUnavailable = 5 // the database or server did not answer; nothing has changed
	ExitUncertain   = 6 // the connection was lost, and the change may or may not have happened
	ExitChanged     = 7 // apply --exit-code: there were changes
)

// ExitHelp explains the exit statuses to users.
const ExitHelp = `Exit status:
  0  success
  1  another failure
  2  invalid arguments
  3  no such key
  4  refused by a rule; repeating the command does not help
  5  the database or server did not answer; nothing has changed
  6  the connection was lost; the change may have happened
  7  apply --exit-code: there were changes`

// A usageError says that the arguments are invalid.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage returns an error about invalid arguments.
func Usage(err error) error { return usageError{err} }

// A changedError says that a command made changes, or would make them.
type changedError struct{ error }

// Changed returns the error of a command that made changes, for callers that ask for a status of its own.
func Changed(err error) error { return changedError{err} }

// ExitStatus returns the exit status for the error of a command.
func ExitStatus(err error) int {
	var refused *manage.RefusedError
	var replaced *apikey.ReplacedError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, new(usageError)), strings.HasPrefix(err.Error(), "unknown command "): // cobra has no type for it
		return ExitUsage
	case errors.As(err, new(changedError)):
		return ExitChanged
	case errors.Is(err, apikey.ErrUncertain):
		return ExitUncertain
	case errors.Is(err, apikey.ErrNotFound):
		return ExitNotFound
	case errors.As(err, &refused), errors.As(err, &replaced), errors.Is(err, apikey.ErrInvalid), errors.Is(err, apikey.ErrExists):
		return ExitRefused
	case errors.Is(err, apikey.ErrUnavailable):
		return ExitUnavailable
	}
	return ExitFailed
}
