package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/memstore"
)

// hashPassword reads a password from a line of in, so that lists of processes and the shell history
// do not show it.
func hashPassword(in io.Reader, out io.Writer) error {
	password, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	hash, err := admin.HashPassword(apikey.NewSecret(strings.TrimRight(password, "\r\n")))
	if err != nil {
		return err
	}
	fmt.Fprintln(out, hash.Reveal())
	return nil
}

// makeKey prints a new key without a database. The key becomes valid when a service imports it.
func makeKey(ctx context.Context, out io.Writer) (err error) {
	pepper := secret("PEPPER", &err)
	if err != nil {
		return err
	}
	format, err := newFormat(pepper)
	if err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{Format: format})
	if err != nil {
		return err
	}
	key, _, err := issuer.Issue(ctx, apikey.NewKey{Name: "Seed"})
	if err != nil {
		return err
	}
	fmt.Fprintln(out, key.Reveal())
	return nil
}
