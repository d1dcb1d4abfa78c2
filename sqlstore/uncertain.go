package sqlstore

import "github.com/latchkey-dev/apikey"

// An uncertainError reports that the answer to a commit was lost, so that the write may have
// happened. The next write finds out, because it waits until the lost one has ended.
type uncertainError struct{ cause error }

func (e *uncertainError) Error() string {
	return "sqlstore: commit: the change may have happened: " + e.cause.Error()
}

func (e *uncertainError) Unwrap() []error { return []error{apikey.ErrUncertain, e.cause} }
