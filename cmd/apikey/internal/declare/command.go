package declare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/manage"
)

// Command returns the command apply.
func Command(a *cli.App) *cobra.Command {
	c := &command{app: a}
	cmd := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make the keys agree with a file",
		Long: `Make the keys agree with a YAML file. The file declares keys by their SHA-256, or by files that contain them, and
never contains a key itself. Applying a file again changes nothing. Processes may apply the same file at the same time.

  set: homelab            # names this set of keys
  prune: revoke           # revoke keys of the set that are no longer declared; without it they stay
  keys:
    - name: Backup job
      sha256: 6b51d431df5d7f141cbececcf79edf3dd861c3b4069f0b11661a3eefacbba918
      owner: ops
      scopes: [read, write]
      expires_at: 2030-01-31T00:00:00Z
      networks: [10.0.0.0/8]
      limits: [api=100/1m]
      metadata: {team: storage}
    - name: Media server
      secret_file: /run/secrets/media-server
      suspended: false

An absent field is empty. Digests, and keys that another system made, need --allow-imported.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd.Context()) },
	}
	flags := cmd.Flags()
	flags.StringVarP(&c.file, "file", "f", "", "file with the keys; - is standard input")
	flags.BoolVar(&c.dryRun, "dry-run", false, "print the changes without making them")
	flags.BoolVar(&c.exitCode, "exit-code", false, "exit with status 7 if there are changes")
	return cmd
}

type command struct {
	app      *cli.App
	file     string
	dryRun   bool
	exitCode bool
}

func (c *command) run(ctx context.Context) (err error) {
	if c.file == "" {
		return cli.Usage(errors.New("set --file"))
	}
	s, err := read(c.file, c.app.In)
	if err != nil {
		return err
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
	steps, err := c.applySet(apikey.WithActor(ctx, actor), actor, db, s)
	if err == nil || len(steps) > 0 {
		err = errors.Join(err, c.print(steps))
	}
	if err == nil && c.exitCode && changes(steps) > 0 {
		err = cli.Changed(fmt.Errorf("apply: %d %s", changes(steps), c.verb()))
	}
	return err
}

// applySet returns the steps that it executed, or that it would execute in a dry run.
func (c *command) applySet(ctx context.Context, actor string, db *database.Database, s *set) (done []step, err error) {
	desk, issuer, err := c.app.Desk(db)
	if err != nil {
		return nil, err
	}
	session, err := desk.As(manage.Access{Actor: actor, AllOwners: true, AnyScope: true})
	if err != nil {
		return nil, err
	}
	p := &planner{s, db.Store, db.Store, time.Now()}
	steps, err := p.plan(ctx, issuer)
	if err != nil || c.dryRun {
		return steps, err
	}
	for _, s := range steps {
		s, err := p.apply(ctx, issuer, session, s)
		if err != nil {
			return done, err
		}
		done = append(done, s)
	}
	return done, nil
}

func changes(steps []step) (n int) {
	for _, s := range steps {
		if s.Action != unchanged {
			n++
		}
	}
	return n
}

func (c *command) print(steps []step) error {
	if c.app.JSON {
		if steps == nil {
			steps = []step{}
		}
		e := json.NewEncoder(c.app.Out)
		e.SetIndent("", "  ")
		return e.Encode(steps)
	}
	signs := map[action]string{create: "+", update: "~", revoke: "-"}
	for _, s := range steps {
		if s.Action == unchanged {
			continue
		}
		fmt.Fprintf(c.app.Out, "%s %s %s", signs[s.Action], s.Action, s.Name)
		if s.ID != "" {
			fmt.Fprintf(c.app.Out, " (%s)", s.ID)
		}
		fmt.Fprintln(c.app.Out)
		for _, f := range s.Changes {
			fmt.Fprintf(c.app.Out, "    %s: %q -> %q\n", f.Field, f.Old, f.New)
		}
	}
	_, err := fmt.Fprintf(c.app.Out, "%d %s, %d unchanged\n", changes(steps), c.verb(), len(steps)-changes(steps))
	return err
}

// verb says whether the keys were changed.
func (c *command) verb() string {
	if c.dryRun {
		return "to change"
	}
	return "changed"
}
