// Package leaktest tests package leak with third-party software: gitleaks, a YAML parser, and the reference
// implementation of Standard Webhooks.
package leaktest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func formatOf(t testing.TB, prefix string) *apikey.Format {
	t.Helper()
	f, err := apikey.NewFormat(prefix, apikey.FormatOptions{})
	require.NoError(t, err)
	return f
}

// issue returns a new key in a Format.
func issue(t testing.TB, f *apikey.Format) string {
	t.Helper()
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{Format: f})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "x"})
	require.NoError(t, err)
	return secret.Reveal()
}
