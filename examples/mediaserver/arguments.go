package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey/manage"
)

// A command is the parsed command line.
type command struct {
	action      string
	addr, db    text
	issue       text
	scopes      text
	revoke      text
	showNewKeys bool
}

// Every action except actionServe is also the name of the flag that selects it.
const (
	actionServe        = "serving"
	actionIssue        = "issue"
	actionList         = "list"
	actionRevoke       = "revoke"
	actionHashPassword = "hash-password"
)

// usedBy maps a flag to the actions that use it. Other flags select an action.
var usedBy = map[string][]string{
	"addr":          {actionServe},
	"show-new-keys": {actionServe},
	"scopes":        {actionIssue},
	"db":            {actionServe, actionIssue, actionList, actionRevoke},
}

// parse parses the arguments. Its errors do not repeat a value, because it may be a key.
func parse(args []string, usage io.Writer) (*command, error) {
	c := &command{action: actionServe, addr: text{value: "localhost:8096"}, db: text{value: "apikeys.db"}}
	flags := flag.NewFlagSet("mediaserver", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.Var(&c.addr, "addr", "`address` to listen on")
	flags.Var(&c.db, "db", "database of the keys: an SQLite `file`, postgres://…, mysql://…, or a DSN of libpq or of the MySQL driver")
	flags.BoolVar(&c.showNewKeys, "show-new-keys", false, "show a key that was created at /Auth/Keys a second time, in the list that its creator requests within a minute")
	flags.Var(&c.issue, actionIssue, "issue a key with this `name`, and exit")
	flags.Var(&c.scopes, "scopes", "`scopes` of the key to issue, separated by commas, such as "+manage.ScopeManage)
	flags.Bool(actionList, false, "list all keys, and exit")
	flags.Var(&c.revoke, actionRevoke, "revoke the `key` with this ID or text, and exit; - reads it from the terminal or standard input, which hides it from lists of processes")
	flags.Bool(actionHashPassword, false, "read a password from the terminal or standard input, print its hash for "+hashVariable+", and exit")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if n := flags.NArg(); n > 0 {
		return nil, fmt.Errorf("unexpected arguments after the flags: %d; quote a value that contains spaces", n)
	}
	return c, c.selectAction(flags)
}

// selectAction sets the action. It returns an error for a second action and for flags that the
// action does not use.
func (c *command) selectAction(flags *flag.FlagSet) (err error) {
	var others []string
	flags.Visit(func(f *flag.Flag) {
		value, isText := f.Value.(*text)
		switch {
		case err != nil:
		case isText && strings.TrimSpace(value.value) == "":
			err = fmt.Errorf("-%s: empty", f.Name)
		case f.Name == "scopes" && len(scopesIn(value.value)) == 0:
			err = fmt.Errorf("-%s: names no scope", f.Name)
		case isText && value.given > 1:
			err = fmt.Errorf("-%s: given %d times", f.Name, value.given)
		case usedBy[f.Name] != nil:
			others = append(others, f.Name)
		case f.Value.String() == "false": // as in -list=false
		case c.action != actionServe:
			err = fmt.Errorf("-%s and -%s: give one of them", c.action, f.Name)
		default:
			c.action = f.Name
		}
	})
	for _, name := range others {
		if err == nil && !slices.Contains(usedBy[name], c.action) {
			err = fmt.Errorf("-%s: only for %s", name, describe(usedBy[name][0]))
		}
	}
	return err
}

func describe(action string) string {
	if action == actionServe {
		return action
	}
	return "-" + action
}

// A text is the value of a flag. It counts its values, because package flag silently uses the last one.
type text struct {
	value string
	given int
}

func (t *text) String() string { return t.value }

func (t *text) Set(value string) error {
	t.value = value
	t.given++
	return nil
}
