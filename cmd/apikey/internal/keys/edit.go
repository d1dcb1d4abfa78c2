package keys

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/manage"
)

// editAttempts is the number of attempts of edit while other programs change the key.
const editAttempts = 4

// An edit is the flags of the command edit.
type edit struct {
	fields
	name           string
	removeMetadata []string
	clear          []string
	version        string // of the key that the user has seen; "" means any
}

func editCommand(a *cli.App) *cobra.Command {
	key, e := &keyArgument{app: a}, &edit{}
	cmd := &cobra.Command{
		Use:   "edit ID",
		Short: "Change the settings of a key",
		Long: `Change settings of a key. A setting without a flag stays as it is. --scope, --network and --limit replace all scopes,
networks and limits of the key. --metadata sets single names and keeps the other names. A key without networks works
from everywhere.`,
		Example: `  apikey edit 4xUCRsGzqvTOJPfN --expires never --clear networks --metadata room=4`,
	}
	key.register(cmd)
	flags := cmd.Flags()
	e.register(flags)
	flags.StringVar(&e.name, "name", "", "name of the key")
	flags.StringArrayVar(&e.removeMetadata, "remove-metadata", nil, "name of metadata to remove; repeat the flag for more")
	flags.StringArrayVar(&e.clear, "clear", nil, "setting to empty: owner, scopes, networks, limits or metadata; repeat the flag for more")
	flags.StringVar(&e.version, "if-version", "", "change the key only if it has this version, which --json prints")
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, args []string) error {
		patch, err := e.patch(time.Now())
		if err != nil {
			return err
		}
		id, err := key.id(ctx, s, args)
		if err != nil {
			return err
		}
		changed, err := e.apply(ctx, s, id, patch)
		if err != nil {
			return err
		}
		return printKey(a, changed)
	})
	return cmd
}

// patch returns the fields that the flags set, except metadata.
func (e *edit) patch(now time.Time) (p apikey.Patch, err error) {
	if e.name != "" {
		p.Name = &e.name
	}
	if e.owner != "" {
		p.Owner = &e.owner
	}
	if e.scopes != nil {
		p.Scopes = &e.scopes
	}
	if e.networks != nil {
		networks, err := e.parsedNetworks()
		if err != nil {
			return p, err
		}
		p.Networks = &networks
	}
	if e.limits != nil {
		limits, err := e.parsedLimits()
		if err != nil {
			return p, err
		}
		p.Limits = &limits
	}
	if e.expires != "" {
		at, err := e.expiresAt(now)
		if err != nil {
			return p, err
		}
		p.ExpiresAt = &at
	}
	for _, field := range e.clear {
		if err := e.empty(&p, field); err != nil {
			return p, err
		}
	}
	if p == (apikey.Patch{}) && !e.changesMetadata() {
		return p, cli.Usage(errors.New("want a flag that changes the key"))
	}
	return p, e.setMetadata(map[string]string{}) // only checks it
}

// empty sets a field of the patch to its empty value.
func (e *edit) empty(p *apikey.Patch, field string) error {
	set := false
	switch field {
	case "owner":
		set, p.Owner = p.Owner != nil, new(string)
	case "scopes":
		set, p.Scopes = p.Scopes != nil, &[]string{}
	case "networks":
		set, p.Networks = p.Networks != nil, &[]netip.Prefix{}
	case "limits":
		set, p.Limits = p.Limits != nil, &[]apikey.Limit{}
	case "metadata":
		set = e.metadata != nil || e.removeMetadata != nil
	default:
		return cli.Usage(fmt.Errorf("--clear: %.40q: want owner, scopes, networks, limits or metadata", field))
	}
	if set {
		return cli.Usage(fmt.Errorf("--clear: %s is set by another flag", field))
	}
	return nil
}

func (e *edit) changesMetadata() bool {
	return e.metadata != nil || e.removeMetadata != nil || slices.Contains(e.clear, "metadata")
}

// apply changes the key. Without --if-version it tries again if the key was changed at the same time.
func (e *edit) apply(ctx context.Context, s Session, id string, p apikey.Patch) (apikey.Key, error) {
	for attempt := 1; ; attempt++ {
		key, err := s.Get(ctx, id)
		if err != nil {
			return apikey.Key{}, err
		}
		version := manage.Version(key)
		if e.version != "" && e.version != version {
			return apikey.Key{}, manage.ErrChanged
		}
		if e.changesMetadata() {
			metadata, err := e.newMetadata(key.Metadata)
			if err != nil {
				return apikey.Key{}, err
			}
			p.Metadata = &metadata
		}
		changed, err := s.Update(ctx, id, version, p)
		if e.version != "" || attempt == editAttempts || !errors.Is(err, manage.ErrChanged) {
			return changed, err
		}
	}
}

// newMetadata returns the metadata of a key after the edit.
func (e *edit) newMetadata(old map[string]string) (map[string]string, error) {
	metadata := map[string]string{}
	if !slices.Contains(e.clear, "metadata") {
		maps.Copy(metadata, old)
	}
	for _, name := range e.removeMetadata {
		delete(metadata, name)
	}
	return metadata, e.setMetadata(metadata)
}
