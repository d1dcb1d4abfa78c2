package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os/user"
	"strings"

	"github.com/spf13/pflag"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/remote"
	"github.com/latchkey-dev/apikey/manage"
)

// A Target says what commands work on. Each flag has an environment variable, which the flag overrides.
// Secrets are read from files or from the environment, because other users of a machine can read the
// arguments of a command.
type Target struct {
	database      string   // --database, APIKEY_DATABASE
	databaseFile  string   // --database-file, APIKEY_DATABASE_FILE
	tablePrefix   string   // --table-prefix, APIKEY_TABLE_PREFIX
	server        string   // --server, APIKEY_SERVER
	serverKeyFile string   // --server-key-file, APIKEY_SERVER_KEY_FILE; the key itself: APIKEY_SERVER_KEY
	allowHTTP     bool     // --allow-http, APIKEY_ALLOW_HTTP=true
	keyPrefix     string   // --key-prefix, APIKEY_KEY_PREFIX
	pepperFiles   []string // --pepper-file, APIKEY_PEPPER_FILES, separated by commas
	imported      bool     // --allow-imported, APIKEY_ALLOW_IMPORTED=true
	unpeppered    bool     // --allow-unpeppered, APIKEY_ALLOW_UNPEPPERED=true
	actor         string   // --actor, APIKEY_ACTOR

	flags *pflag.FlagSet
}

func (t *Target) register(flags *pflag.FlagSet) {
	t.flags = flags
	flags.StringVar(&t.database, "database", "", "database of the keys: a file of SQLite, postgres://… or mysql://…,\nwithout a password ($APIKEY_DATABASE may have one)")
	flags.StringVar(&t.databaseFile, "database-file", "", "file that contains the URL of the database ($APIKEY_DATABASE_FILE)")
	flags.StringVar(&t.tablePrefix, "table-prefix", "", "prefix of the names of the tables; \"\" means \"apikey_\" ($APIKEY_TABLE_PREFIX)")
	flags.StringVar(&t.server, "server", "", "URL of a management API to use instead of a database ($APIKEY_SERVER)")
	flags.StringVar(&t.serverKeyFile, "server-key-file", "", "file that contains the key for --server ($APIKEY_SERVER_KEY_FILE or $APIKEY_SERVER_KEY)")
	flags.BoolVar(&t.allowHTTP, "allow-http", false, "send keys to --server without encryption ($APIKEY_ALLOW_HTTP)")
	flags.StringVar(&t.keyPrefix, "key-prefix", "", "prefix of the keys; \"\" means \"ak\" ($APIKEY_KEY_PREFIX)")
	flags.StringSliceVar(&t.pepperFiles, "pepper-file", nil, "file that contains a pepper; repeat the flag for older peppers ($APIKEY_PEPPER_FILES)")
	flags.BoolVar(&t.imported, "allow-imported", false, "keys of other systems may exist ($APIKEY_ALLOW_IMPORTED)")
	flags.BoolVar(&t.unpeppered, "allow-unpeppered", false, "keys from before the first pepper may exist ($APIKEY_ALLOW_UNPEPPERED)")
	flags.StringVar(&t.actor, "actor", "", "your name in the audit trail; \"\" means your login ($APIKEY_ACTOR)")
}

// Database opens the database that the flags name, and refuses --server. The caller must close it. Database creates an
// SQLite file that does not exist; see [App.ExistingDatabase].
func (a *App) Database() (*database.Database, error) {
	if a.Target.server != "" {
		return nil, Usage(errors.New("--server: this command needs a database; set --database"))
	}
	url, err := a.databaseURL()
	if err != nil {
		return nil, err
	}
	db, err := database.Open(url, a.value(a.Target.tablePrefix, "APIKEY_TABLE_PREFIX"))
	if errors.Is(err, database.ErrURL) {
		return nil, Usage(err)
	}
	return db, err
}

// ExistingDatabase is like [App.Database], but refuses an SQLite file that does not exist, because a misspelled
// name would otherwise be an empty database.
func (a *App) ExistingDatabase() (*database.Database, error) {
	db, err := a.Database()
	if err != nil {
		return nil, err
	}
	if err := db.CheckFile(); err != nil {
		return nil, errors.Join(Usage(fmt.Errorf("%w; apikey migrate creates it", err)), db.Close())
	}
	return db, nil
}

// Server returns a Session on the server that the flags or the environment name, or nil for a database. A flag
// overrides the environment. It returns an error if both a server and a database are set, or if the server has no
// key.
func (a *App) Server() (*remote.Session, error) {
	t := &a.Target
	databaseFlag, serverFlag := t.database != "" || t.databaseFile != "", t.server != ""
	databaseVariable := a.Getenv("APIKEY_DATABASE") != "" || a.Getenv("APIKEY_DATABASE_FILE") != ""
	url := a.value(t.server, "APIKEY_SERVER")
	switch {
	case url == "" || databaseFlag && !serverFlag:
		return nil, nil
	case databaseFlag:
		return nil, Usage(errors.New("set --server or a database, not both"))
	case databaseVariable && !serverFlag:
		return nil, Usage(errors.New("$APIKEY_SERVER and $APIKEY_DATABASE are both set; choose with --server or --database"))
	}
	key, err := a.serverKey()
	if err != nil {
		return nil, err
	}
	session, err := remote.New(url, key, a.enabled("allow-http", t.allowHTTP, "APIKEY_ALLOW_HTTP"))
	if err != nil {
		return nil, Usage(fmt.Errorf("--server: %w", err))
	}
	return session, nil
}

func (a *App) serverKey() (apikey.Secret, error) {
	if a.Target.serverKeyFile == "" {
		if key := a.Getenv("APIKEY_SERVER_KEY"); key != "" {
			return apikey.NewSecret(key), nil
		}
	}
	if file := a.value(a.Target.serverKeyFile, "APIKEY_SERVER_KEY_FILE"); file != "" {
		return ReadSecretFile(file)
	}
	return apikey.Secret{}, Usage(errors.New("set --server-key-file, $APIKEY_SERVER_KEY or $APIKEY_SERVER_KEY_FILE"))
}

func (a *App) databaseURL() (apikey.Secret, error) {
	t := &a.Target
	if t.database != "" && t.databaseFile != "" {
		return apikey.Secret{}, Usage(errors.New("set --database or --database-file, not both"))
	}
	if t.database != "" {
		if database.HasPassword(t.database) {
			return apikey.Secret{}, Usage(errors.New("--database: a password in the arguments is visible to other users; use $APIKEY_DATABASE or --database-file"))
		}
		return apikey.NewSecret(t.database), nil
	}
	if t.databaseFile == "" {
		if url := a.Getenv("APIKEY_DATABASE"); url != "" {
			return apikey.NewSecret(url), nil
		}
	}
	if file := a.value(t.databaseFile, "APIKEY_DATABASE_FILE"); file != "" {
		return ReadSecretFile(file)
	}
	return apikey.Secret{}, Usage(errors.New("set --database, --database-file, $APIKEY_DATABASE or $APIKEY_DATABASE_FILE"))
}

// Format returns the Format that the flags describe. It reads the files of the peppers.
func (a *App) Format() (*apikey.Format, error) {
	t := &a.Target
	o := apikey.FormatOptions{
		AllowImported:   a.enabled("allow-imported", t.imported, "APIKEY_ALLOW_IMPORTED"),
		AllowUnpeppered: a.enabled("allow-unpeppered", t.unpeppered, "APIKEY_ALLOW_UNPEPPERED"),
	}
	files := t.pepperFiles
	if list := a.Getenv("APIKEY_PEPPER_FILES"); files == nil && list != "" {
		files = strings.Split(list, ",")
	}
	for _, file := range files {
		pepper, err := ReadSecretFile(file)
		if err != nil {
			return nil, err
		}
		o.Peppers = append(o.Peppers, pepper)
	}
	format, err := apikey.NewFormat(a.KeyPrefix(), o)
	if err != nil {
		return nil, Usage(err)
	}
	return format, nil
}

// KeyPrefix returns the prefix of keys, without the "_" after it.
func (a *App) KeyPrefix() string {
	return cmp.Or(a.value(a.Target.keyPrefix, "APIKEY_KEY_PREFIX"), "ak")
}

// Actor returns the name of the user for the audit trail: --actor, $APIKEY_ACTOR or the login.
func (a *App) Actor() (string, error) {
	if actor := a.value(a.Target.actor, "APIKEY_ACTOR"); actor != "" {
		return actor, nil
	}
	current, err := user.Current()
	if err != nil {
		return "", Usage(fmt.Errorf("set --actor, because the login is unknown: %w", err))
	}
	return current.Username, nil
}

// Desk returns a Desk and its Issuer for the keys in an open database.
func (a *App) Desk(db *database.Database) (*manage.Desk, *apikey.Issuer, error) {
	format, err := a.Format()
	if err != nil {
		return nil, nil, err
	}
	issuer, err := apikey.NewIssuer(db.Store, apikey.IssuerOptions{Format: format})
	if err != nil {
		return nil, nil, err
	}
	desk, err := manage.New(issuer)
	return desk, issuer, err
}

// enabled reports whether a flag is on. A flag in the arguments overrides its variable, also to turn it off.
func (a *App) enabled(flag string, value bool, variable string) bool {
	return value || !a.Target.flags.Changed(flag) && a.Getenv(variable) == "true"
}

// value returns the value of a flag, or of its environment variable if the flag is not set.
func (a *App) value(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return a.Getenv(variable)
}
