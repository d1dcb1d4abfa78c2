package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
)

const (
	ownCookie      = "apikey_admin"
	ownLifetime    = 12 * time.Hour
	ownIdleTimeout = time.Hour

	// The names of values in sessions and records, which a host's sessions have others beside.
	recordValue  = "apikey.admin.record"
	boundValue   = "apikey.admin.bound"
	formKeyValue = "apikey.admin.formkey"
)

// sessions keeps who is logged in. A session alone logs nobody in: it names a record, which is
// written at the login, deleted at the logout and by nothing else. scs 2.9.0 with an idle timeout
// writes a session back that was loaded before a logout, and with it what it names; the
// record stays deleted, so the logout holds. The record lies in the same store, under a
// token of its own.
type sessions struct {
	manager *scs.SessionManager
	own     bool
	bound   string // to which password sessions are bound: a new one ends them
}

func newSessions(manager *scs.SessionManager, passwordHash string) *sessions {
	sum := sha256.Sum256([]byte(passwordHash))
	s := &sessions{manager: manager, bound: base64.RawURLEncoding.EncodeToString(sum[:])}
	if manager == nil {
		s.own = true
		// Not scs.New, which starts a goroutine that cannot be stopped.
		s.manager = &scs.SessionManager{
			Lifetime:    ownLifetime,
			IdleTimeout: ownIdleTimeout,
			Store:       &sessionStore{},
			Codec:       scs.GobCodec{},
			Cookie:      scs.SessionCookie{Name: ownCookie},
		}
	}
	return s
}

// A session is that of one request. record is "" if nobody is logged in.
type session struct {
	*sessions
	ctx     context.Context
	hosted  bool // the host's LoadAndSave stands around and writes it
	record  string
	formKey []byte
}

type loadedKey struct{}

// open returns the session of a request, and marks it as used.
func (s *sessions) open(w http.ResponseWriter, r *http.Request) (*session, error) {
	parent := r.Context()
	if s.own {
		parent = context.Background() // in which no other manager has left a session
	}
	before := context.WithValue(parent, loadedKey{}, true)
	var token string
	if cookie, err := r.Cookie(s.manager.Cookie.Name); err == nil {
		token = cookie.Value
	}
	ctx, err := s.manager.Load(before, token)
	if err != nil {
		return nil, err
	}
	// Load returns its argument if there is a session in it.
	session := &session{sessions: s, ctx: ctx, hosted: ctx == before}
	if err := session.findRecord(); err != nil || session.record == "" {
		return session, err
	}
	if s.manager.IdleTimeout > 0 && !session.hosted {
		return session, session.write(w, r, false)
	}
	return session, nil
}

// findRecord sets record and formKey if there is a record of a login with today's password.
func (s *session) findRecord() error {
	token := s.manager.GetString(s.ctx, recordValue)
	if token == "" {
		return nil
	}
	data, found, err := s.find(token)
	if err != nil || !found {
		return err
	}
	_, values, err := s.manager.Codec.Decode(data)
	if err != nil {
		return err
	}
	bound, _ := values[boundValue].(string)
	encoded, _ := values[formKeyValue].(string)
	key, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(key) < minFormKey || subtle.ConstantTimeCompare([]byte(bound), []byte(s.bound)) != 1 {
		return nil
	}
	s.record, s.formKey = token, key
	return nil
}

// begin logs in: under a new token, the old one and its record being dead (OWASP Session Management
// Cheat Sheet, "Renew the Session ID After Any Privilege Level Change").
func (s *session) begin(w http.ResponseWriter, r *http.Request) error {
	if err := s.forgetRecord(); err != nil {
		return err
	}
	if err := s.manager.RenewToken(s.ctx); err != nil {
		return err
	}
	expiry := time.Now().Add(s.manager.Lifetime).UTC()
	data, err := s.manager.Codec.Encode(expiry, map[string]any{boundValue: s.bound, formKeyValue: randomToken()})
	if err != nil {
		return err
	}
	record := randomToken()
	if err := s.commit(record, data, expiry); err != nil {
		return err
	}
	s.manager.Put(s.ctx, recordValue, record)
	if s.hosted {
		return nil
	}
	return s.write(w, r, true)
}

// end logs out. Of a host's session only the login goes: the rest is the host's.
func (s *session) end(w http.ResponseWriter, r *http.Request) error {
	if err := s.forgetRecord(); err != nil {
		return err
	}
	if s.own {
		if err := s.manager.Destroy(s.ctx); err != nil {
			return err
		}
		s.setOwnCookie(w, r, "")
		return nil
	}
	s.manager.Remove(s.ctx, recordValue)
	if err := s.manager.RenewToken(s.ctx); err != nil || s.hosted {
		return err
	}
	return s.write(w, r, true)
}

func (s *session) forgetRecord() error {
	record := s.manager.GetString(s.ctx, recordValue)
	if record == "" {
		return nil
	}
	return s.delete(record)
}

// write stores the session, and tells the browser of it if its token is new or its cookie has
// an end that moves.
func (s *session) write(w http.ResponseWriter, r *http.Request, renewed bool) error {
	token, expiry, err := s.manager.Commit(s.ctx)
	switch {
	case err != nil:
		return err
	case !s.own && (renewed || s.manager.Cookie.Path != ""):
		s.manager.WriteSessionCookie(s.ctx, w, token, expiry)
	case renewed:
		s.setOwnCookie(w, r, token)
	}
	return nil
}

// setOwnCookie sets the cookie of the handler's own manager. It has no Path: only login and logout
// set it, so browsers take the folder of their URL, which is the dashboard under whatever
// prefix they see it. A TLS proxy is known by the Origin, which a page cannot forge. Lax, so that
// a link to a key from a chat works: a GET changes nothing, and a form of another site is sent
// without the cookie.
func (s *session) setOwnCookie(w http.ResponseWriter, r *http.Request, token string) {
	cookie := &http.Cookie{
		Name: ownCookie, Value: token, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: r.TLS != nil || strings.HasPrefix(r.Header.Get("Origin"), "https://"),
	}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// randomToken returns 32 random bytes in the length that stores have room for, 43 characters.
func randomToken() string {
	b := make([]byte, 32)
	rand.Read(b) // which does not fail
	return base64.RawURLEncoding.EncodeToString(b)
}

func (s *session) find(token string) ([]byte, bool, error) {
	if store, ok := s.manager.Store.(scs.CtxStore); ok {
		return store.FindCtx(s.ctx, token)
	}
	return s.manager.Store.Find(token)
}

func (s *session) commit(token string, data []byte, expiry time.Time) error {
	if store, ok := s.manager.Store.(scs.CtxStore); ok {
		return store.CommitCtx(s.ctx, token, data, expiry)
	}
	return s.manager.Store.Commit(token, data, expiry)
}

func (s *session) delete(token string) error {
	if store, ok := s.manager.Store.(scs.CtxStore); ok {
		return store.DeleteCtx(s.ctx, token)
	}
	return s.manager.Store.Delete(token)
}
