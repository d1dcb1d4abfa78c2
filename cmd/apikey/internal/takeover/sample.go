package takeover

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

const maxSample = 4 << 10 // bytes

// proveSample reads a key of the source from the standard input and says which row it is. Without a match the
// mapping is wrong, and imported keys would not work.
func proveSample(a *cli.App, rows []row) error {
	fmt.Fprintln(a.Err, "Enter one key of the source (it is not stored, and is visible while you type):")
	line, err := bufio.NewReader(io.LimitReader(a.In, maxSample)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	sample := apikey.NewSecret(strings.TrimSpace(line))
	if sample.Reveal() == "" {
		return cli.Usage(errors.New("--sample: the standard input has no key"))
	}
	for i := range rows {
		if rows[i].matches(sample) {
			fmt.Fprintf(a.Err, "The key is that of %s, %q.\n", visible(rows[i].id), rows[i].key.Name)
			return nil
		}
	}
	return cli.Refused(errors.New("--sample: no row of the source has this key; nothing was imported"))
}
