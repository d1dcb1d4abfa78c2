package cli

import (
	"errors"
	"regexp"
)

// keyShape matches a key with any prefix. apikey.Format describes the shape.
var keyShape = regexp.MustCompile(`(^|[^0-9A-Za-z_])[a-z][0-9a-z_]{0,19}_[0-9A-Za-z]{36}($|[^0-9A-Za-z])`)

// ErrKeyInArguments refuses a key in the arguments. It does not contain the key.
var ErrKeyInArguments = Usage(errors.New(`an argument contains a key, and other users of this machine can see arguments; ` +
	`write "-" and pass the key on standard input; revoke the key if others use this machine`))

// refuseKeys returns an error if an argument contains a key, or the prefix and the beginning of a key.
func refuseKeys(args []string, prefix string) error {
	part := regexp.MustCompile(`(^|[^0-9A-Za-z_])` + regexp.QuoteMeta(prefix) + `_[0-9A-Za-z]{20}`)
	for _, arg := range args {
		if keyShape.MatchString(arg) || part.MatchString(arg) {
			return ErrKeyInArguments
		}
	}
	return nil
}
