package takeover

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
	"github.com/latchkey-dev/apikey/rehash"
)

// proveSample reads a key of the source from standard input and prints its row. It returns an error if no row has the
// key, because the imported keys would then not work.
func proveSample(ctx context.Context, a *cli.App, rows []row, scheme rehash.Scheme) error {
	sample, err := console.ReadSecret(ctx, a.In, a.Err, "One key of the source: ")
	if err != nil {
		return cli.Usage(fmt.Errorf("--sample: %w", err))
	}
	for i := range rows {
		if rows[i].matches(sample, scheme) {
			_, err := fmt.Fprintf(a.Err, "The key belongs to source ID %s, %q.\n", console.Clean(rows[i].id), rows[i].key.Name)
			return err
		}
	}
	return cli.Refused(errors.New("--sample: no row of the source has this key; nothing was imported"))
}
