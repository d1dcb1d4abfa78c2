package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/latchkey-dev/apikey"
)

// issue issues a key and prints it.
func issue(ctx context.Context, std streams, issuer *apikey.Issuer, name, scopes string) error {
	secret, key, err := issuer.Issue(ctx, apikey.NewKey{Name: name, Scopes: scopesIn(scopes)})
	if err != nil {
		return fmt.Errorf("-issue: %w", err)
	}
	_, err = fmt.Fprintf(std.out, "%s is the ID of %q. The key is shown only once:\n\n  %s\n", key.ID, key.Name, secret.Reveal())
	return err
}

// scopesIn splits the value of -scopes.
func scopesIn(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// list prints all keys, newest first.
func list(ctx context.Context, std streams, manager apikey.KeyManager) error {
	table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tHINT\tSTATUS\tSCOPES\tCREATED\tEXPIRES\tLAST USED")
	now := time.Now()
	for key, err := range apikey.Keys(ctx, manager, apikey.ListOptions{}) {
		if err != nil {
			return fmt.Errorf("-list: %w", err)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", key.ID, key.Name, key.Hint, statusOf(key, now),
			strings.Join(key.Scopes, ","), timeText(key.CreatedAt), timeText(key.ExpiresAt), timeText(key.LastUsedAt))
	}
	return table.Flush()
}

func statusOf(key apikey.Key, now time.Time) apikey.Status {
	switch err := key.Check(now); {
	case errors.Is(err, apikey.ErrRevoked):
		return apikey.StatusRevoked
	case errors.Is(err, apikey.ErrSuspended):
		return apikey.StatusSuspended
	case err != nil:
		return apikey.StatusExpired
	}
	return apikey.StatusActive
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format(time.DateTime)
}

// revoke revokes the key with this ID or secret. It does not print keyOrID.
func revoke(ctx context.Context, std streams, issuer *apikey.Issuer, keyOrID apikey.Secret) error {
	id := strings.TrimSpace(keyOrID.Reveal())
	switch key, err := issuer.Identify(ctx, apikey.NewSecret(id)); {
	case err == nil:
		id = key.ID
	case !errors.Is(err, apikey.ErrMalformed) && !errors.Is(err, apikey.ErrNotFound):
		return fmt.Errorf("-revoke: %w", err)
	}
	key, err := issuer.Manager().Revoke(ctx, id)
	if err != nil {
		return fmt.Errorf("-revoke: %w", err)
	}
	_, err = fmt.Fprintf(std.out, "%s, %q, was revoked on %s\n", key.ID, key.Name, timeText(key.RevokedAt))
	return err
}
