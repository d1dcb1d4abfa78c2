package takeover

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/rehash"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// Command returns the command import.
func Command(a *cli.App) *cobra.Command {
	c := &command{app: a}
	cmd := &cobra.Command{
		Use:   "import --from SYSTEM --source FILE-OR-URL",
		Short: "Import the keys of another system",
		Long: `Import the keys of another system, so that its clients keep their keys. The command only reads the source. You can
repeat a run: the report marks keys that an earlier run imported. Issue new keys for rows that failed.

Systems: ` + strings.Join(systemNames(), ", ") + `

The key of each row keeps its name, owner, creation, expiry and last use, as far as the source has them. Your service
does not know the scopes of the source: --scope-map translates them, --scopes replaces them, and the command drops
the others. Files of csv and json keep their scopes without --scope-map.

Some systems do not store the SHA-256 of a key: django, forgejo, gitea, grafana, sanctum, strapi and vikunja. Their keys
are pending until a client uses them. The service needs package rehash, or apikey serve --adopt, to prove them.
--pending lists them.

This command needs --allow-imported, and the service needs it or FormatOptions.AllowImported. The exit status is 1 if
some rows were not imported.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVar(&c.from, "from", "", "the other system, one of those above")
	flags.StringVar(&c.source, "source", "", "its database: a file of SQLite, postgres://… or mysql://…, without a password\n($APIKEY_SOURCE may have one); for csv and json a file, or - for standard input")
	flags.StringVar(&c.sourceFile, "source-file", "", "file that contains the URL of its database")
	flags.StringVar(&c.table, "source-table", "", "table of the keys, such as public.keys, if it does not have the usual name")
	flags.BoolVar(&c.dryRun, "dry-run", false, "print the report and write nothing")
	flags.DurationVar(&c.deadline, "deadline", defaultDeadline, "time in which clients must use a pending key; the service refuses it afterwards")
	flags.StringVar(&c.saltFile, "strapi-salt-file", "", "file that contains admin.apiToken.salt of Strapi, for --sample")
	flags.BoolVar(&c.pending, "pending", false, "list the pending keys, and import nothing")
	flags.BoolVar(&c.sample, "sample", false, "read one key from standard input first, and import nothing unless it belongs to a row")
	flags.StringVar(&c.mapping.owner, "owner", "", "owner of keys that have none in the source")
	flags.StringSliceVar(&c.mapping.scopes, "scopes", nil, "scopes of all keys, instead of those of the source")
	flags.StringToStringVar(&c.mapping.rename, "scope-map", nil, "translate scopes of the source: old=new,…")
	return cmd
}

func systemNames() []string {
	return append(slices.Sorted(maps.Keys(systems)), "csv", "json")
}

type command struct {
	app                             *cli.App
	from, source, sourceFile, table string
	saltFile                        string
	deadline                        time.Duration
	dryRun, sample, pending         bool
	mapping                         mapping
}

const defaultDeadline = 90 * 24 * time.Hour

func (c *command) run(ctx context.Context) (err error) {
	if c.pending {
		return c.listPending(ctx)
	}
	if c.deadline <= 0 {
		return cli.Usage(errors.New("--deadline: want a positive duration, such as 720h"))
	}
	rows, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.mapping.system = c.from
	c.mapping.keep = c.isFile()
	now := time.Now()
	for i := range rows {
		c.mapping.apply(&rows[i], now)
	}
	if c.sample {
		scheme, err := c.scheme()
		if err != nil {
			return err
		}
		if err := proveSample(ctx, c.app, rows, scheme); err != nil {
			return err
		}
	}
	actor, err := c.app.Actor()
	if err != nil {
		return err
	}
	db, err := c.app.ExistingDatabase()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, issuer, err := c.app.Desk(db)
	if err != nil {
		return err
	}
	r, err := c.importRows(apikey.WithActor(ctx, actor), db.Store, issuer, rows)
	if r != nil {
		err = errors.Join(err, c.print(r))
	}
	if err == nil && r.notImported() > 0 {
		err = fmt.Errorf("import: %d of %d keys were not imported", r.notImported(), r.Total)
	}
	return err
}

// importRows returns a report even if the database fails after some rows.
func (c *command) importRows(ctx context.Context, store *sqlstore.Store, issuer *apikey.Issuer, rows []row) (*report, error) {
	if !acceptsImported(issuer.Format()) {
		return nil, cli.Usage(errors.New("set --allow-imported, here and in the service"))
	}
	i, err := newImporter(store, issuer, c.dryRun, time.Now().Add(c.deadline))
	if err != nil {
		return nil, err
	}
	results, err := i.importRows(ctx, rows)
	if err != nil {
		err = fmt.Errorf("import stopped after %d of %d rows; run it again: %w", len(results), len(rows), err)
	}
	return newReport(c.dryRun, len(rows), results), err
}

// acceptsImported reports whether a format accepts keys of other systems.
func acceptsImported(f *apikey.Format) bool {
	_, err := f.Digest(apikey.NewSecret("0123456789abcdef")) // begins with no prefix
	return err == nil
}

func (c *command) print(r *report) error {
	if c.app.JSON {
		return r.writeJSON(c.app.Out)
	}
	return r.writeTable(c.app.Out)
}

// scheme returns the Scheme of the pending keys of a system, or the zero Scheme for a system without pending keys.
func (c *command) scheme() (rehash.Scheme, error) {
	switch c.from {
	case "gitea", "forgejo", "vikunja":
		return rehash.Gitea(), nil
	case "grafana":
		return rehash.Grafana(), nil
	case "django":
		return rehash.Django(), nil
	case "sanctum":
		return rehash.Sanctum(), nil
	case "strapi":
		if c.saltFile == "" {
			return rehash.Scheme{}, cli.Usage(errors.New("--sample: set --strapi-salt-file"))
		}
		salt, err := cli.ReadSecretFile(c.saltFile)
		return rehash.Strapi(salt), err
	}
	return rehash.Scheme{}, nil
}

func (c *command) isFile() bool { return c.from == "csv" || c.from == "json" }

// read returns the rows of the source.
func (c *command) read(ctx context.Context) ([]row, error) {
	if c.isFile() {
		switch {
		case c.source == "":
			return nil, cli.Usage(errors.New("set --source to a file"))
		case c.source == "-" && c.sample:
			return nil, cli.Usage(errors.New("--sample reads standard input; set --source to a file"))
		}
		return readFile(c.from, c.source, c.app.In)
	}
	s, ok := systems[c.from]
	if !ok {
		return nil, cli.Usage(fmt.Errorf("--from %q: want %s", c.from, strings.Join(systemNames(), ", ")))
	}
	source, err := c.sourceURL()
	if err != nil {
		return nil, err
	}
	return readTable(ctx, s, source, c.table)
}

func (c *command) sourceURL() (apikey.Secret, error) {
	url := c.app.Getenv("APIKEY_SOURCE")
	switch {
	case c.source != "" && c.sourceFile != "":
		return apikey.Secret{}, cli.Usage(errors.New("set --source or --source-file, not both"))
	case c.source != "":
		if database.HasPassword(c.source) {
			return apikey.Secret{}, cli.Usage(errors.New("--source: a password in the arguments is visible to other users; use $APIKEY_SOURCE or --source-file"))
		}
		return apikey.NewSecret(c.source), nil
	case c.sourceFile != "":
		return cli.ReadSecretFile(c.sourceFile)
	case url != "":
		return apikey.NewSecret(url), nil
	}
	return apikey.Secret{}, cli.Usage(errors.New("set --source, --source-file or $APIKEY_SOURCE"))
}
