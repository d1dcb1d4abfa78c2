package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
)

// Environment variables with the password of the dashboard. At most one of them may be set.
const (
	passwordVariable = "APIKEY_ADMIN_PASSWORD"
	hashVariable     = "APIKEY_ADMIN_PASSWORD_HASH"
	hashFileVariable = "APIKEY_ADMIN_PASSWORD_HASH_FILE"
)

// passwordHash returns the hash of the dashboard's password and describes the source of the
// password. A dashboard accepts only sessions of its own hash, and two hashes of one password differ.
// Servers that share a dashboard therefore need the same hash.
func passwordHash() (hash apikey.Secret, from string, err error) {
	var set []string
	for _, name := range [...]string{passwordVariable, hashVariable, hashFileVariable} {
		if os.Getenv(name) != "" {
			set = append(set, name)
		}
	}
	if len(set) > 1 {
		return hash, "", fmt.Errorf("%s: set one of them", strings.Join(set, ", "))
	}
	if len(set) == 0 {
		password := rand.Text()
		from = "the password " + password + ", generated for this run; set " + passwordVariable + " to choose another"
		hash, err = admin.HashPassword(apikey.NewSecret(password))
		return hash, from, err
	}
	from = "the password in " + set[0]
	switch value := os.Getenv(set[0]); set[0] {
	case passwordVariable:
		hash, err = admin.HashPassword(apikey.NewSecret(value))
	case hashVariable:
		hash = apikey.NewSecret(value)
	case hashFileVariable:
		var text []byte
		text, err = os.ReadFile(value)
		hash = apikey.NewSecret(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return hash, "", fmt.Errorf("%s: %w", set[0], err)
	}
	return hash, from, nil
}

// hashPassword reads a password and prints its hash.
func hashPassword(ctx context.Context, std streams) error {
	password, err := readSecret(ctx, std, "Password: ")
	if err != nil {
		return fmt.Errorf("-hash-password: %w", err)
	}
	if terminalOf(std.in) != nil {
		again, err := readSecret(ctx, std, "Again: ")
		if err != nil {
			return fmt.Errorf("-hash-password: %w", err)
		}
		if subtle.ConstantTimeCompare([]byte(password.Reveal()), []byte(again.Reveal())) != 1 {
			return errors.New("-hash-password: the passwords differ")
		}
	}
	hash, err := admin.HashPassword(password)
	if err != nil {
		return fmt.Errorf("-hash-password: %w", err)
	}
	_, err = fmt.Fprintln(std.out, hash.Reveal())
	return err
}

// maxSecret is the size limit of the input of readSecret, in bytes.
const maxSecret = 4 << 10

// readSecret reads one line of at most 4096 bytes. On a terminal it prompts and turns off the echo. Other
// input must not contain a second line.
func readSecret(ctx context.Context, std streams, prompt string) (apikey.Secret, error) {
	if terminal := terminalOf(std.in); terminal != nil {
		return readFromTerminal(ctx, terminal, std.err, prompt)
	}
	in := bufio.NewReader(io.LimitReader(std.in, maxSecret+1))
	line, err := io.ReadAll(in)
	text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	switch {
	case err != nil:
		return apikey.Secret{}, err
	case len(line) > maxSecret:
		return apikey.Secret{}, fmt.Errorf("standard input: more than %d bytes", maxSecret)
	case text == "":
		return apikey.Secret{}, errors.New("standard input: empty")
	case strings.ContainsAny(text, "\r\n"):
		return apikey.Secret{}, errors.New("standard input: more than one line")
	}
	return apikey.NewSecret(text), nil
}

// terminalOf returns in if it is a terminal, or nil.
func terminalOf(in io.Reader) *os.File {
	if file, ok := in.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		return file
	}
	return nil
}

func readFromTerminal(ctx context.Context, terminal *os.File, out io.Writer, prompt string) (apikey.Secret, error) {
	fd := int(terminal.Fd())
	echoing, err := term.GetState(fd)
	if err != nil {
		return apikey.Secret{}, err
	}
	fmt.Fprint(out, prompt)
	type result struct {
		line []byte
		err  error
	}
	read := make(chan result, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		read <- result{line, err}
	}()
	select {
	case r := <-read:
		fmt.Fprintln(out)
		return apikey.NewSecret(string(r.line)), r.err
	case <-ctx.Done(): // interrupted, so ReadPassword does not restore the echo
		fmt.Fprintln(out)
		return apikey.Secret{}, errors.Join(context.Cause(ctx), term.Restore(fd, echoing))
	}
}
