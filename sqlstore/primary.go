package sqlstore

import "fmt"

// primaryError returns the error for a value of the expression notPrimary, or nil for 0.
func (d *dialect) primaryError(n int64) error {
	if n == 0 {
		return nil
	}
	reason := "unknown reason"
	if 0 < n && n <= int64(len(d.notPrimaryReasons)) {
		reason = d.notPrimaryReasons[n-1]
	}
	return fmt.Errorf("%s: %s; want the writable primary with the driver's default settings", d.name, reason)
}

// checkPrimary checks that the connection reads current data and can write. Polls and writes check
// the same in their own statements.
func (t *tx) checkPrimary() error {
	n, err := t.number("SELECT " + t.d.notPrimary)
	if err != nil {
		return err
	}
	return t.d.primaryError(n)
}
