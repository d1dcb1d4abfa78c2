package serve

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/rehash"
)

// adoptable are the values of --adopt.
var adoptable = []string{"gitea", "grafana", "django", "sanctum", "strapi"}

// schemes returns the Schemes of --adopt. It reads the salt of Strapi from its file.
func (c *config) schemes() (all []rehash.Scheme, err error) {
	for _, system := range c.adopt {
		switch system {
		case "gitea":
			all = append(all, rehash.Gitea())
		case "grafana":
			all = append(all, rehash.Grafana())
		case "django":
			all = append(all, rehash.Django())
		case "sanctum":
			all = append(all, rehash.Sanctum())
		case "strapi":
			if c.saltFile == "" {
				return nil, errors.New("--adopt: strapi needs --strapi-salt-file")
			}
			salt, err := cli.ReadSecretFile(c.saltFile)
			if err != nil {
				return nil, fmt.Errorf("--strapi-salt-file: %w", err)
			}
			all = append(all, rehash.Strapi(salt))
		default:
			return nil, fmt.Errorf("--adopt: %q; want %s", system, strings.Join(adoptable, ", "))
		}
	}
	return all, nil
}

// sources returns the places of a key in a request for a service behind a proxy. The query is not one of them, because
// the proxy would pass a key in it to the service. If the Format accepts imported keys, every bearer token counts as a
// key, because imported keys have no prefix that distinguishes them from tokens of other issuers.
func (c *config) sources(f *apikey.Format) []apikey.Source {
	bearer := apikey.Bearer()
	if _, err := f.DigestSHA256([32]byte{}); err != nil {
		bearer = apikey.Prefixed(bearer)
	}
	sources := []apikey.Source{apikey.Header("X-API-Key"), bearer}
	if slices.Contains(c.adopt, "gitea") {
		sources = append(sources, apikey.Scheme("token"))
	}
	if slices.Contains(c.adopt, "django") {
		sources = append(sources, apikey.Scheme("Api-Key"))
	}
	return sources
}
