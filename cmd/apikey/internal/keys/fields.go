package keys

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

// fields are the flags for the fields of a key, as text.
type fields struct {
	owner, expires                     string
	scopes, networks, limits, metadata []string
}

func (f *fields) register(flags *pflag.FlagSet) {
	flags.StringVar(&f.owner, "owner", "", "account to which the key belongs")
	flags.StringArrayVar(&f.scopes, "scope", nil, "scope of the key; repeat the flag for more")
	flags.StringVar(&f.expires, "expires", "", "when the key expires: a duration such as 90d, a date such as 2027-01-31 (its first moment\nin your time zone), a time such as 2027-01-31T12:00:00Z, or never")
	flags.StringArrayVar(&f.networks, "network", nil, "network or address from which the key may be used; repeat the flag for more")
	flags.StringArrayVar(&f.limits, "limit", nil, "limit of use, such as api=100/1m, api=100/1m+20 or quota=10000/month; repeat the flag for more")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "metadata for your service, as NAME=VALUE; repeat the flag for more")
}

// expiresAt returns the value of --expires. The zero time means never.
func (f *fields) expiresAt(now time.Time) (time.Time, error) {
	if f.expires == "never" {
		return time.Time{}, nil
	}
	at, err := after(f.expires, now)
	switch {
	case err != nil:
		return time.Time{}, cli.Usage(fmt.Errorf("--expires: %w", err))
	case !at.After(now):
		return time.Time{}, cli.Usage(errors.New("--expires: want a time in the future"))
	}
	return at, nil
}

func (f *fields) parsedNetworks() (networks []netip.Prefix, err error) {
	for _, text := range f.networks {
		network, err := netip.ParsePrefix(text)
		if addr, notAddr := netip.ParseAddr(text); notAddr == nil && addr.Zone() == "" { // a network has no zone
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("--network: %.60q: want a network such as 192.0.2.0/24, or an address", text))
		}
		networks = append(networks, network)
	}
	return networks, nil
}

func (f *fields) parsedLimits() ([]apikey.Limit, error) {
	limits, err := apikey.ParseLimits(strings.Join(f.limits, " "))
	if invalid, ok := errors.AsType[*apikey.InvalidError](err); ok {
		return nil, cli.Usage(fmt.Errorf("--limit: %s", invalid.Problem))
	}
	return limits, err
}

// setMetadata sets the values of --metadata in a map.
func (f *fields) setMetadata(metadata map[string]string) error {
	for _, text := range f.metadata {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return cli.Usage(errors.New("--metadata: want NAME=VALUE"))
		}
		metadata[name] = value
	}
	return nil
}
