package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// config is the configuration from the environment.
type config struct {
	addr              string        // ADDR; ":8080"
	database          apikey.Secret // DATABASE_URL: postgres://…, which holds a password
	pepper            apikey.Secret // PEPPER: at least 32 bytes; the same for all processes
	passwordHash      apikey.Secret // ADMIN_PASSWORD_HASH: made by admin.HashPassword
	seedKey           apikey.Secret // SEED_KEY: a key that must exist; optional
	certFile, keyFile string        // TLS_CERT_FILE, TLS_KEY_FILE; empty if TLS ends at a proxy
	drain             time.Duration // DRAIN: time until a load balancer notices the shutdown
}

func loadConfig() (c config, err error) {
	c = config{
		addr:         getenv("ADDR", ":8080"),
		database:     secret("DATABASE_URL", &err),
		pepper:       secret("PEPPER", &err),
		passwordHash: secret("ADMIN_PASSWORD_HASH", &err),
		certFile:     os.Getenv("TLS_CERT_FILE"),
		keyFile:      os.Getenv("TLS_KEY_FILE"),
	}
	if os.Getenv("SEED_KEY")+os.Getenv("SEED_KEY_FILE") != "" {
		c.seedKey = secret("SEED_KEY", &err)
	}
	if (c.certFile == "") != (c.keyFile == "") {
		err = errors.Join(err, errors.New("set both TLS_CERT_FILE and TLS_KEY_FILE, or neither"))
	}
	drain, parseErr := time.ParseDuration(getenv("DRAIN", "5s"))
	c.drain = drain
	return c, errors.Join(err, parseErr)
}

func getenv(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// secret reads a secret from the environment variable name or from the file that name_FILE names.
// Prefer the file, because other programs of the same user can read the environment of a process,
// and crash reporters send it to other machines.
func secret(name string, err *error) apikey.Secret {
	value := os.Getenv(name)
	if file := os.Getenv(name + "_FILE"); file != "" {
		text, readErr := os.ReadFile(file)
		if readErr != nil {
			*err = errors.Join(*err, fmt.Errorf("%s_FILE: %w", name, readErr))
			return apikey.Secret{}
		}
		value = strings.TrimSpace(string(text))
	}
	if value == "" {
		*err = errors.Join(*err, fmt.Errorf("set %s or %s_FILE", name, name))
	}
	return apikey.NewSecret(value)
}
