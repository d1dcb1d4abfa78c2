package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// A target is a key that a caller tries to reach.
type target struct{ id, secret, owner, name string }

// A face is one interface through which a customer manages keys. Each attempt returns its whole response.
type face struct {
	name     string
	attempts map[string]func(target) string
}

// TestOtherOwnersKeysAreOutOfReach tries each operation of each face on keys of another owner. The responses
// must equal the responses to an unknown key, and nothing may change.
func TestOtherOwnersKeysAreOutOfReach(t *testing.T) {
	t.Parallel()
	s := startService(t)
	targets := s.bobsKeys(t)
	secret := s.unknownSecret(t)
	for _, face := range s.facesOfAlice(t) {
		t.Run(face.name, func(t *testing.T) {
			before := s.state(t, bob.id)
			for name, attempt := range face.attempts {
				for _, target := range targets {
					unknown := target.unknown(secret)
					assert.Equal(t, describe(unknown, attempt(unknown)), describe(target, attempt(target)), "%s on the %s", name, target.name)
				}
			}
			assert.Equal(t, before, s.state(t, bob.id), "the keys of bob")
		})
	}
	for _, key := range s.keysOf(t, alice.id) {
		assert.NotContains(t, key.Name, "Bob")
	}
}

// ofForm matches the hidden fields that differ in each response with a form.
var ofForm = regexp.MustCompile(`name="(nonce|begun)" value="[^"]*"`)

// describe returns the response of an attempt with placeholders for the values that the caller named.
func describe(to target, told string) string {
	told = ofForm.ReplaceAllString(told, "")
	return strings.NewReplacer(to.id, "ID", to.secret, "SECRET", to.owner, "OWNER", url.QueryEscape(to.name), "NAME", to.name, "NAME").Replace(told)
}

// bobsKeys returns keys of bob in every state.
func (s *service) bobsKeys(t *testing.T) (all []target) {
	ctx := t.Context()
	session, err := s.desk.As(manage.Access{Actor: bob.email, Owner: bob.id, AnyScope: true, MayResume: true})
	require.NoError(t, err)
	issue := func(name string, scopes ...string) apikey.Key {
		secret, key, err := session.Issue(ctx, apikey.NewKey{Name: name, Scopes: scopes}, "request-1-"+strings.ReplaceAll(name, " ", "-"))
		require.NoError(t, err)
		all = append(all, target{key.ID, secret.Reveal(), bob.id, name})
		return key
	}
	issue("Bobs job")
	issue("Bobs manager", customersScopes...)
	_, err = session.Suspend(ctx, issue("Bobs suspended job").ID)
	require.NoError(t, err)
	_, err = session.Revoke(ctx, issue("Bobs revoked job").ID)
	require.NoError(t, err)
	secret, successor, err := session.Rotate(ctx, issue("Bobs rotated job").ID, time.Hour, "request-2")
	require.NoError(t, err)
	return append(all, target{successor.ID, secret.Reveal(), bob.id, successor.Name})
}

// unknownSecret returns a key of another store.
func (s *service) unknownSecret(t *testing.T) string {
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Unknown"})
	require.NoError(t, err)
	return secret.Reveal()
}

// unknown returns a target that does not exist, with an ID of the same form.
func (t target) unknown(secret string) target {
	last := "x"
	if strings.HasSuffix(t.id, last) {
		last = "y"
	}
	return target{t.id[:len(t.id)-1] + last, secret, "c-9999", "Unknown"}
}

// state returns the keys of an owner and their histories.
func (s *service) state(t *testing.T, owner string) (lines []string) {
	t.Helper()
	for _, key := range s.keysOf(t, owner) {
		history, err := s.store.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID})
		require.NoError(t, err)
		lines = append(lines, fmt.Sprintf("%+v %+v", key, history.Entries))
	}
	return lines
}

// facesOfAlice returns the faces through which alice and her programs manage keys.
func (s *service) facesOfAlice(t *testing.T) []face {
	program, _ := s.issue(t, apikey.NewKey{Name: "Alices program", Owner: alice.id, Scopes: customersScopes})
	return []face{s.settingsPage(t, s.logIn(t, alice)), s.jsonAPI(t, program), s.embyKeys(t, program), s.session(t, alice)}
}

func (s *service) settingsPage(t *testing.T, p *person) face {
	const at = "/settings/keys"
	attempts := map[string]func(target) string{}
	for _, page := range []string{
		"/keys/{id}", "/keys/{id}/edit", "/keys/{id}/rotate", "/keys/{id}/suspend", "/keys/{id}/resume", "/keys/{id}/revoke",
		"/?status=all&search={id}", "/?status=all&search={name}", "/?status=all&owner={owner}", "/?status=all&search={owner}", "/revoke?id={id}", "/revoke-owner?owner={owner}",
		"/keys.csv?status=all&search={id}", "/keys.json?status=all&owner={owner}", "/activity?key={id}", "/add?owner={owner}",
	} {
		attempts["GET "+page] = func(to target) string { return told(p.get(at + fill(page, to))) }
	}
	for path, form := range map[string]string{
		"/":                  "search={secret}",
		"/identify":          "key={secret}",
		"/keys/{id}/edit":    "name=Mine&owner=" + alice.id + "&expiry=never&nonce=NONCE",
		"/keys/{id}/rotate":  "grace=0&nonce=NONCE",
		"/keys/{id}/suspend": "",
		"/keys/{id}/resume":  "",
		"/keys/{id}/revoke":  "",
		"/revoke":            "id={id}",
	} {
		attempts["POST "+path] = func(to target) string {
			values, err := url.ParseQuery(strings.ReplaceAll(fill(form, to), "NONCE", strings.Repeat("A", 26)))
			require.NoError(t, err)
			return told(p.post(at+fill(path, to), values))
		}
	}
	return face{"admin", attempts}
}

func (s *service) jsonAPI(t *testing.T, program string) face {
	attempts := map[string]func(target) string{}
	for _, request := range []string{
		"GET /keys/{id}", `PATCH /keys/{id} {"name":"Mine"}`, `PATCH /keys/{id} {"owner":"` + alice.id + `"}`, `PATCH /keys/{id} {"scopes":[]}`,
		`PATCH /keys/{id} {"metadata":{"a":"b"}}`, "POST /keys/{id}/rotate", `POST /keys/{id}/rotate {"grace":60}`, "POST /keys/{id}/suspend", "POST /keys/{id}/resume",
		"POST /keys/{id}/revoke", "DELETE /keys/{id}", "GET /keys/{id}/history", `POST /identify {"secret":"{secret}"}`, `POST /identify {"secret":"{id}"}`,
		`POST /revoke-all {"owner":"{owner}"}`, "GET /keys?owner={owner}", "GET /keys?search={id}", "GET /keys?search={name}", "GET /keys?search={owner}",
		"GET /history", "GET /keys?cursor={id}", "GET /keys/{id}/history?cursor={id}",
	} {
		attempts[request] = func(to target) string {
			method, rest, _ := strings.Cut(request, " ")
			path, body, hasBody := strings.Cut(rest, " ")
			var content any
			if hasBody {
				content = json.RawMessage(strings.NewReplacer("{id}", to.id, "{secret}", to.secret, "{owner}", to.owner).Replace(body))
			}
			return told(s.call(t, program, method, "/api/keys"+fill(path, to), content))
		}
	}
	// A repetition of bob's request with its ID would return bob's key.
	attempts["repeat a rotation"] = func(to target) string {
		return told(s.call(t, program, "POST", "/api/keys/keys/"+to.id+"/rotate", map[string]any{"grace": 3600}, "Idempotency-Key", `"request-2"`))
	}
	return face{"manageapi", attempts}
}

// embyKeys mounts the endpoints of Emby, which the shop itself does not offer.
func (s *service) embyKeys(t *testing.T, program string) face {
	keys, err := emby.Keys(s.desk)
	require.NoError(t, err)
	handler := s.auth.Handler(keys)
	attempts := map[string]func(target) string{}
	for _, request := range []string{"DELETE /Auth/Keys/{id}", "DELETE /Auth/Keys/{secret}", "POST /Auth/Keys/{id}/Delete", "POST /Auth/Keys/{secret}/Delete"} {
		attempts[request] = func(to target) string {
			method, path, _ := strings.Cut(request, " ")
			r := httptest.NewRequest(method, fill(path, to), nil)
			r.Header.Set("X-API-Key", program)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			return told(reply{w.Code, w.Header(), w.Body.String()})
		}
	}
	return face{"emby", attempts}
}

func (s *service) session(t *testing.T, c customer) face {
	access := manage.Access{Actor: c.email, Owner: c.id, Scopes: customersScopes, MaxKeys: maxKeys, MayResume: true}
	session, err := s.desk.As(access)
	require.NoError(t, err)
	ctx := context.WithoutCancel(t.Context())
	tell := func(values ...any) string { return fmt.Sprintf("%+v", values) }
	name, owner := "Mine", c.id
	scopes := []string{}
	return face{"manage", map[string]func(target) string{
		"List by owner":  func(to target) string { return tell(session.List(ctx, apikey.ListOptions{Owner: to.owner})) },
		"List by search": func(to target) string { return tell(session.List(ctx, apikey.ListOptions{Search: to.id})) },
		"List by name":   func(to target) string { return tell(session.List(ctx, apikey.ListOptions{Search: to.name})) },
		"Count by owner": func(to target) string { return tell(session.Count(ctx, apikey.ListOptions{Owner: to.owner})) },
		"Count by name":  func(to target) string { return tell(session.Count(ctx, apikey.ListOptions{Search: to.name})) },
		"Get":            func(to target) string { return tell(session.Get(ctx, to.id)) },
		"Update name":    func(to target) string { return tell(session.Update(ctx, to.id, "", apikey.Patch{Name: &name})) },
		"Update owner":   func(to target) string { return tell(session.Update(ctx, to.id, "", apikey.Patch{Owner: &owner})) },
		"Update scopes":  func(to target) string { return tell(session.Update(ctx, to.id, "", apikey.Patch{Scopes: &scopes})) },
		"Update version": func(to target) string { return tell(session.Update(ctx, to.id, "0123456789abcdef", apikey.Patch{})) },
		"Rotate":         func(to target) string { return tell(session.Rotate(ctx, to.id, time.Hour, "")) },
		"Rotate again":   func(to target) string { return tell(session.Rotate(ctx, to.id, time.Hour, "request-2")) },
		"Revoke":         func(to target) string { return tell(session.Revoke(ctx, to.id)) },
		"RevokeAll":      func(to target) string { return tell(session.RevokeAll(ctx, to.owner)) },
		"Suspend":        func(to target) string { return tell(session.Suspend(ctx, to.id)) },
		"Resume":         func(to target) string { return tell(session.Resume(ctx, to.id)) },
		"Identify":       func(to target) string { return tell(session.Identify(ctx, apikey.NewSecret(to.secret))) },
		"History":        func(to target) string { return tell(session.History(ctx, apikey.AuditOptions{KeyID: to.id})) },
		"History by a cursor": func(to target) string {
			return tell(session.History(ctx, apikey.AuditOptions{KeyID: to.id, Cursor: to.id}))
		},
		"Successors": func(to target) string {
			return tell(session.Successors(ctx, []apikey.Key{{ID: to.id, Owner: to.owner}}))
		},
	}}
}

// fill replaces the placeholders of a path or a form.
func fill(text string, to target) string {
	return strings.NewReplacer("{id}", to.id, "{secret}", to.secret, "{owner}", to.owner, "{name}", url.QueryEscape(to.name)).Replace(text)
}

// told returns the status, the header and the body of a response, without fields that differ in every
// response. It omits Content-Length, because the body may repeat values of the request.
func told(r reply) string {
	header := r.header.Clone()
	for _, name := range []string{"Date", "Content-Length", "Set-Cookie"} {
		header.Del(name)
	}
	return fmt.Sprintf("%d %v\n%s", r.status, header, r.body) // fmt sorts maps
}
