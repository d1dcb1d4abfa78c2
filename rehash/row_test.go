package rehash

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestImportAgainAndASecondKeyWithOneFinder(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	first := row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash))
	s.pend(first)
	for name, r := range map[string]Row{"again": first, "another key": row(t)(GiteaRow(giteaToken[32:], "other", giteaHash))} {
		_, err := r.Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x"}, time.Now().Add(time.Hour))
		assert.ErrorIs(t, err, apikey.ErrExists, name)
	}
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	strict, err := apikey.NewIssuer(s.store, apikey.IssuerOptions{})
	require.NoError(t, err)
	for name, f := range map[string]func() error{
		"no store": func() error { _, err := New(nil, s.issuer, Options{Schemes: []Scheme{Gitea()}}); return err },
		"a nil pointer": func() error {
			_, err := New((*memstore.Store)(nil), s.issuer, Options{Schemes: []Scheme{Gitea()}})
			return err
		},
		"no issuer":       func() error { _, err := New(s.store, nil, Options{Schemes: []Scheme{Gitea()}}); return err },
		"no schemes":      func() error { _, err := New(s.store, s.issuer, Options{}); return err },
		"an empty scheme": func() error { _, err := New(s.store, s.issuer, Options{Schemes: []Scheme{{}}}); return err },
		"a scheme twice": func() error {
			_, err := New(s.store, s.issuer, Options{Schemes: []Scheme{Gitea(), Gitea()}})
			return err
		},
		"a format without imported keys": func() error { _, err := New(s.store, strict, Options{Schemes: []Scheme{Gitea()}}); return err },
		"too many hashes": func() error {
			_, err := New(s.store, s.issuer, Options{Schemes: []Scheme{Gitea()}, Concurrent: 65})
			return err
		},
		"a last eight of nine":         func() error { _, err := GiteaRow("012345678", "s", giteaHash); return err },
		"a salt with a space":          func() error { _, err := GiteaRow("01234567", "s s", giteaHash); return err },
		"a short hash":                 func() error { _, err := GiteaRow("01234567", "s", giteaHash[2:]); return err },
		"a Grafana hash in upper case": func() error { _, err := GrafanaRow(strings.ToUpper(grafanaHash)); return err },
		"too many rounds":              func() error { _, err := DjangoRow("a", "pbkdf2_sha256$99999999$s$x"); return err },
		"no rounds":                    func() error { _, err := DjangoRow("a", "pbkdf2_sha256$-1$s$x"); return err },
		"another hasher":               func() error { _, err := DjangoRow("a", "argon2$argon2id$v=19$x"); return err },
		"a Sanctum ID with a bar":      func() error { _, err := SanctumRow("7|", sanctumHash); return err },
		"a Strapi hash that is short":  func() error { _, err := StrapiRow(strapiHash[2:]); return err },
		"an empty row": func() error {
			_, err := Row{}.Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x"}, time.Now().Add(time.Hour))
			return err
		},
		"a deadline in the past": func() error {
			_, err := row(t)(GrafanaRow(grafanaHash)).Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x"}, time.Now())
			return err
		},
		"a pending key with the metadata of another": func() error {
			k := apikey.ImportedKey{Name: "x", Metadata: map[string]string{MetadataUntil: "2999-01-01T00:00:00Z"}}
			_, err := row(t)(GrafanaRow(grafanaHash)).Import(t.Context(), s.issuer, k, time.Now().Add(time.Hour))
			return err
		},
		"a pending key with a secret": func() error {
			_, err := row(t)(GrafanaRow(grafanaHash)).Import(t.Context(), s.issuer, apikey.ImportedKey{Name: "x", Secret: apikey.NewSecret(giteaToken)}, time.Now().Add(time.Hour))
			return err
		},
	} {
		assert.ErrorIs(t, f(), apikey.ErrInvalid, name)
	}
}
