package serve

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

// A config holds the flags of the command. Each flag has an environment variable, which the flag overrides. Secrets come
// only from files and the environment.
type config struct {
	listen            string
	metrics           string
	rulesFile         string
	trust             []string
	certFile, keyFile string
	redis             string
	redisFile         string
	hashFile          string
	generatePassword  bool
	origins           []string
	name              string
	migrate           bool
	drain             time.Duration
	logFormat         string
	logLevel          string
	adopt             []string
	saltFile          string

	trusted      []netip.Prefix // trust, or loopback addresses
	redisURL     apikey.Secret
	passwordHash apikey.Secret
}

func (c *config) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.listen, "listen", "127.0.0.1:8080", "address to listen on ($APIKEY_LISTEN)")
	flags.StringVar(&c.metrics, "metrics", "127.0.0.1:9464", "address that serves /metrics for Prometheus; \"off\" serves none\n($APIKEY_METRICS)")
	flags.StringVar(&c.rulesFile, "rules", "", "rules of the routes; turns on /auth/ for reverse proxies ($APIKEY_RULES)")
	flags.StringSliceVar(&c.trust, "trust", nil, "network of your reverse proxies, such as 10.0.0.7/32; repeat the flag for more.\nWithout it, --listen on a loopback address trusts programs of this machine ($APIKEY_TRUST)")
	flags.StringVar(&c.certFile, "tls-cert", "", "file with the certificate, followed by intermediate certificates ($APIKEY_TLS_CERT)")
	flags.StringVar(&c.keyFile, "tls-key", "", "file with the private key of the certificate ($APIKEY_TLS_KEY)")
	flags.StringVar(&c.redis, "redis", "", "URL of a Redis server that counts limits for several processes, without a password;\nwithout Redis each process counts for itself ($APIKEY_REDIS may have a password)")
	flags.StringVar(&c.redisFile, "redis-file", "", "file that contains the URL of Redis ($APIKEY_REDIS_FILE)")
	flags.StringVar(&c.hashFile, "password-hash-file", "", "file with what \"apikey hash-password\" printed; turns on the dashboard at /admin/\n($APIKEY_PASSWORD_HASH_FILE, or $APIKEY_PASSWORD_HASH for the hash itself)")
	flags.BoolVar(&c.generatePassword, "generate-password", false, "turn on the dashboard with a password for this run, and print it;\nonly with --listen on a loopback address")
	flags.StringSliceVar(&c.origins, "origin", nil, "origin of the dashboard as browsers see it, such as https://keys.example.com,\nif a proxy changes the Host ($APIKEY_ORIGIN)")
	flags.StringVar(&c.name, "name", "", "name of the service, on pages and as realm ($APIKEY_NAME)")
	flags.BoolVar(&c.migrate, "migrate", false, "create or upgrade the tables first ($APIKEY_MIGRATE=true)")
	flags.StringSliceVar(&c.adopt, "adopt", nil, "system whose pending keys are proved at their first use: "+strings.Join(adoptable, ", ")+";\nrepeat the flag for more, and set --allow-imported ($APIKEY_ADOPT)")
	flags.StringVar(&c.saltFile, "strapi-salt-file", "", "file that contains admin.apiToken.salt, for --adopt strapi ($APIKEY_STRAPI_SALT_FILE)")
	flags.DurationVar(&c.drain, "drain", 0, "how long /readyz fails after SIGTERM while requests are still served;\na second SIGTERM ends it ($APIKEY_DRAIN)")
	flags.StringVar(&c.logFormat, "log", "text", "format of the log: text or json ($APIKEY_LOG)")
	flags.StringVar(&c.logLevel, "log-level", "info", "lowest level of the log: debug (each refusal), info, warn or error ($APIKEY_LOG_LEVEL)")
}

// environment sets the flags that are not in the arguments from their variables.
func (c *config) environment(flags *pflag.FlagSet, getenv func(string) string) error {
	for _, flag := range []string{"listen", "metrics", "rules", "trust", "tls-cert", "tls-key", "password-hash-file", "origin", "name", "migrate", "drain", "log", "log-level", "adopt", "strapi-salt-file"} {
		variable := "APIKEY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
		if value := getenv(variable); value != "" && !flags.Changed(flag) {
			if err := flags.Set(flag, value); err != nil {
				return fmt.Errorf("$%s: %w", variable, err)
			}
		}
	}
	return nil
}

// check reads the secrets, and returns an error that names a flag if the flags contradict each other.
func (c *config) check(getenv func(string) string) error {
	loopback, err := isLoopback(c.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if c.metrics != "off" {
		if _, err := isLoopback(c.metrics); err != nil {
			return fmt.Errorf("--metrics: %w", err)
		}
	}
	if (c.certFile == "") != (c.keyFile == "") {
		return errors.New("--tls-cert, --tls-key: set both or neither")
	}
	if c.drain < 0 || c.drain > time.Hour {
		return fmt.Errorf("--drain: %v; want 0s to 1h", c.drain)
	}
	if !slices.Contains([]string{"text", "json"}, c.logFormat) {
		return fmt.Errorf("--log: %q; want text or json", c.logFormat)
	}
	if err := c.checkTrust(loopback); err != nil {
		return err
	}
	if err := c.readPasswordHash(loopback, getenv); err != nil {
		return err
	}
	if _, err := c.schemes(); err != nil {
		return err
	}
	return c.readRedis(getenv)
}

func (c *config) checkTrust(loopback bool) error {
	for _, text := range c.trust {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("--trust: %q; want a network such as 10.0.0.7/32", text)
		}
		switch {
		case p.Bits() == 0:
			return fmt.Errorf("--trust: %v contains all addresses; want only those of your proxies, such as 10.0.0.7/32", p)
		case p.Addr().Is4In6():
			return fmt.Errorf("--trust: %v; want an IPv4 network such as 10.0.0.7/32", p)
		case p != p.Masked():
			return fmt.Errorf("--trust: %v has host bits set; want %v", p, p.Masked())
		}
		c.trusted = append(c.trusted, p)
	}
	if c.trusted == nil && loopback {
		c.trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	}
	if c.rulesFile != "" && c.trusted == nil {
		return fmt.Errorf("--trust: required for --rules, because programs on other machines can connect to %s", c.listen)
	}
	return nil
}

func (c *config) readPasswordHash(loopback bool, getenv func(string) string) (err error) {
	hash := getenv("APIKEY_PASSWORD_HASH")
	switch {
	case c.generatePassword && (hash != "" || c.hashFile != ""):
		return errors.New("--generate-password: the password hash is set too; use one of them")
	case c.generatePassword && !loopback:
		return fmt.Errorf("--generate-password: only with --listen on a loopback address, not with %s", c.listen)
	case c.hashFile != "":
		c.passwordHash, err = cli.ReadSecretFile(c.hashFile)
	case hash != "":
		c.passwordHash = apikey.NewSecret(hash)
	}
	return err
}

func (c *config) readRedis(getenv func(string) string) (err error) {
	switch {
	case c.redis != "" && c.redisFile != "":
		return errors.New("set --redis or --redis-file, not both")
	case c.redis != "":
		if u, err := url.Parse(c.redis); err != nil || u.User != nil || strings.Contains(c.redis, "password") {
			return errors.New("--redis: want a URL without a password, which other users could see; a password belongs in $APIKEY_REDIS or --redis-file")
		}
		c.redisURL = apikey.NewSecret(c.redis)
	case c.redisFile != "":
		c.redisURL, err = cli.ReadSecretFile(c.redisFile)
	case getenv("APIKEY_REDIS") != "":
		c.redisURL = apikey.NewSecret(getenv("APIKEY_REDIS"))
	case getenv("APIKEY_REDIS_FILE") != "":
		c.redisURL, err = cli.ReadSecretFile(getenv("APIKEY_REDIS_FILE"))
	}
	return err
}

// isLoopback reports whether only programs on this machine can connect to an address.
func isLoopback(listen string) (bool, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return false, fmt.Errorf("%q; want an address such as 127.0.0.1:8080", listen)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false, fmt.Errorf("%q; want a port from 0 to 65535", listen)
	}
	if host == "localhost" {
		return true, nil
	}
	addr, err := netip.ParseAddr(host)
	if host != "" && err != nil {
		return false, fmt.Errorf("%q; want an IP address, localhost, or no host for every address", listen)
	}
	return addr.Unmap().IsLoopback(), nil
}
