package listing

import (
	"fmt"

	"github.com/latchkey-dev/apikey"
)

// CheckOwner returns an [apikey.InvalidError] for a text that RevokeAll cannot take: the
// owner "", which would select the keys without an owner, and text that no key can have.
func CheckOwner(owner string) error {
	if owner == "" {
		return fmt.Errorf("apikey: %w", &apikey.InvalidError{Field: "owner", Problem: "empty; want the owner of the keys"})
	}
	_, err := apikey.ListOptions{Owner: owner}.Validate()
	return err
}
