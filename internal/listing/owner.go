package listing

import (
	"fmt"

	"github.com/latchkey-dev/apikey"
)

// CheckOwner returns an [apikey.InvalidError] for an owner that RevokeAll must refuse. This is the owner
// "", which would select the keys without an owner, or text that no key can have as its Owner.
func CheckOwner(owner string) error {
	if owner == "" {
		return fmt.Errorf("apikey: %w", &apikey.InvalidError{Field: "owner", Problem: "empty; want the owner of the keys"})
	}
	_, err := apikey.ListOptions{Owner: owner}.Validate()
	return err
}
