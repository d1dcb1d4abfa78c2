package cli

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	"github.com/spf13/pflag"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/manage"
)

// A Target says what commands work on. Each flag has an environment variable, which the flag overrides.
// Secrets are read from files or from the environment, because other users of a machine can read the
// arguments of a command.
type Target struct {
	database      string   // --database, APIKEY_DATABASE
	databaseFile  string   // --database-file, APIKEY_DATABASE_FILE
	tablePrefix   string   // --table-prefix, APIKEY_TABLE_PREFIX
	Server        string   // --server, APIKEY_SERVER
	ServerKeyFile string   // --server-key-file, APIKEY_SERVER_KEY_FILE; the key itself: APIKEY_SERVER_KEY
	keyPrefix     string   // --key-prefix, APIKEY_KEY_PREFIX
	pepperFiles   []string // --pepper-file, APIKEY_PEPPER_FILES, separated by commas
	imported      bool     // --allow-imported, APIKEY_ALLOW_IMPORTED=true
	unpeppered    bool     // --allow-unpeppered, APIKEY_ALLOW_UNPEPPERED=true
	actor         string   // --actor, APIKEY_ACTOR
}

func (t *Target) register(flags *pflag.FlagSet) {
	flags.StringVar(&t.database, "database", "", "database of the keys: a file of SQLite, postgres://… or mysql://…,\nwithout a password ($APIKEY_DATABASE may have one)")
	flags.StringVar(&t.databaseFile, "database-file", "", "file that contains the URL of the database ($APIKEY_DATABASE_FILE)")
	flags.StringVar(&t.tablePrefix, "table-prefix", "", "begins the names of the tables; \"\" means \"apikey_\" ($APIKEY_TABLE_PREFIX)")
	flags.StringVar(&t.Server, "server", "", "URL of a management API to use instead of a database ($APIKEY_SERVER)")
	flags.StringVar(&t.ServerKeyFile, "server-key-file", "", "file that contains the key for --server ($APIKEY_SERVER_KEY_FILE or $APIKEY_SERVER_KEY)")
	flags.StringVar(&t.keyPrefix, "key-prefix", "", "begins the keys; \"\" means \"ak\" ($APIKEY_KEY_PREFIX)")
	flags.StringSliceVar(&t.pepperFiles, "pepper-file", nil, "file that contains a pepper; repeat it for older peppers ($APIKEY_PEPPER_FILES)")
	flags.BoolVar(&t.imported, "allow-imported", false, "keys of other systems may exist ($APIKEY_ALLOW_IMPORTED)")
	flags.BoolVar(&t.unpeppered, "allow-unpeppered", false, "keys from before the first pepper may exist ($APIKEY_ALLOW_UNPEPPERED)")
	flags.StringVar(&t.actor, "actor", "", "your name in the audit trail; \"\" means your login ($APIKEY_ACTOR)")
}

// Database opens the database that the flags name. The caller closes it.
func (a *App) Database() (*database.Database, error) {
	url, err := a.databaseURL()
	if err != nil {
		return nil, err
	}
	return database.Open(url, a.value(a.Target.tablePrefix, "APIKEY_TABLE_PREFIX"))
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

// Format returns the Format that the flags describe.
func (a *App) Format() (*apikey.Format, error) {
	t := &a.Target
	o := apikey.FormatOptions{
		AllowImported:   t.imported || a.Getenv("APIKEY_ALLOW_IMPORTED") == "true",
		AllowUnpeppered: t.unpeppered || a.Getenv("APIKEY_ALLOW_UNPEPPERED") == "true",
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
	prefix := a.value(t.keyPrefix, "APIKEY_KEY_PREFIX")
	if prefix == "" {
		prefix = "ak"
	}
	format, err := apikey.NewFormat(prefix, o)
	if err != nil {
		return nil, Usage(err)
	}
	return format, nil
}

// Actor returns the name of the user for the audit trail.
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

// Desk returns the Desk of the keys in an open database.
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

// value returns the value of a flag, or of its environment variable if the flag is not set.
func (a *App) value(flag, variable string) string {
	if flag != "" {
		return flag
	}
	return a.Getenv(variable)
}

// ReadSecretFile reads a secret from a file of at most 64 KiB, without the spaces around it.
func ReadSecretFile(name string) (apikey.Secret, error) {
	info, err := os.Stat(name)
	if err != nil {
		return apikey.Secret{}, err
	}
	const most = 64 << 10
	if info.Size() > most {
		return apikey.Secret{}, fmt.Errorf("%s: has %d bytes, and a secret has at most %d", name, info.Size(), most)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return apikey.Secret{}, err
	}
	secret := strings.TrimSpace(string(text))
	if secret == "" {
		return apikey.Secret{}, fmt.Errorf("%s: contains no secret", name)
	}
	return apikey.NewSecret(secret), nil
}
