package admin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
)

const (
	ownCookie      = "apikey_admin"
	ownLifetime    = 12 * time.Hour
	ownIdleTimeout = time.Hour

	// Names of values in sessions and records. The sessions of an application hold other values too.
	secureValue = "apikey.admin.secure"
	recordValue = "apikey.admin.record"
	hashesValue = "apikey.admin.bound"
)

// sessions keeps logins in the sessions of scs.
//
// A session is a login only while the record that it names exists. The record is in the same store, under
// its own token. Only a login writes the record and only a logout deletes it. With an idle timeout, scs
// 2.9.0 writes back a session that it loaded before a logout. The deleted record makes that session
// worthless.
type sessions struct {
	manager *scs.SessionManager
	own     bool   // the application has no manager
	hash    string // digest of the password hash; another one ends all sessions
}

// maxHashes is how many password hashes one session can have.
const maxHashes = 16

func newSessions(manager *scs.SessionManager, passwordHash string) *sessions {
	sum := sha256.Sum256([]byte(passwordHash))
	s := &sessions{manager: manager, hash: base64.RawURLEncoding.EncodeToString(sum[:])}
	if manager == nil {
		s.own = true
		// scs.New would start a goroutine that cannot be stopped.
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

// A session is the session of one request.
type session struct {
	*sessions
	ctx     context.Context
	wrapped bool   // LoadAndSave of the application wraps the dashboard and writes the session
	record  string // token of the record of a login with this password hash, or ""

	// hashes are the digests of the password hashes that the login's password has matched. Processes
	// that share sessions may have different hashes of one password, because each hash has its own
	// salt. A process cannot compare such hashes, so each process asks for the password once.
	hashes    []string
	otherHash bool // the login's password has not been checked against this password hash
}

type loadedKey struct{}

// open returns the session of a request and extends its idle timeout.
func (s *sessions) open(w http.ResponseWriter, r *http.Request) (*session, error) {
	parent := r.Context()
	if s.own {
		parent = context.Background() // holds no session of another manager
	}
	before := context.WithValue(parent, loadedKey{}, true)
	token, secure := s.token(r)
	ctx, err := s.manager.Load(before, token)
	if err != nil {
		return nil, err
	}
	if s.own && !secure && s.manager.GetBool(ctx, secureValue) {
		// An attacker on the network has planted the token, under the name without __Secure-.
		if ctx, err = s.manager.Load(before, ""); err != nil {
			return nil, err
		}
	}
	// Load returns its argument if that holds a session already.
	session := &session{sessions: s, ctx: ctx, wrapped: ctx == before}
	if err := session.findRecord(); err != nil || session.record == "" {
		return session, err
	}
	if s.manager.IdleTimeout > 0 && !session.wrapped {
		return session, session.write(w, r, false)
	}
	return session, nil
}

// token returns the token in the cookie of a request, and whether only TLS can have set that cookie.
func (s *sessions) token(r *http.Request) (token string, secure bool) {
	names := []string{s.manager.Cookie.Name}
	if s.own {
		names = cookieNames(ownCookie)
	}
	for _, name := range names {
		if cookie, err := r.Cookie(name); err == nil {
			return cookie.Value, strings.HasPrefix(name, securePrefix)
		}
	}
	return "", false
}

// findRecord sets hashes if the session has a record, and record if the login was with this password
// hash.
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
	joined, _ := values[hashesValue].(string)
	s.hashes = strings.Fields(joined)
	if s.otherHash = !slices.ContainsFunc(s.hashes, s.isCurrent); !s.otherHash {
		s.record = token
	}
	return nil
}

func (s *sessions) isCurrent(hash string) bool {
	return subtle.ConstantTimeCompare([]byte(hash), []byte(s.hash)) == 1
}

// begin logs in under a new token and deletes the old session and its record (OWASP Session Management
// Cheat Sheet, "Renew the Session ID After Any Privilege Level Change"). The caller has checked the
// password.
func (s *session) begin(w http.ResponseWriter, r *http.Request) error {
	if err := s.deleteRecord(); err != nil {
		return err
	}
	if err := s.manager.RenewToken(s.ctx); err != nil {
		return err
	}
	hashes := append([]string{s.hash}, slices.DeleteFunc(s.hashes, s.isCurrent)...)
	hashes = hashes[:min(len(hashes), maxHashes)]
	expiry := time.Now().Add(s.manager.Lifetime).UTC()
	data, err := s.manager.Codec.Encode(expiry, map[string]any{hashesValue: strings.Join(hashes, " ")})
	if err != nil {
		return err
	}
	record := rand.Text()
	if err := s.commit(record, data, expiry); err != nil {
		return err
	}
	s.record, s.hashes = record, hashes
	s.manager.Put(s.ctx, recordValue, record)
	if s.own {
		s.manager.Put(s.ctx, secureValue, overTLS(r))
	}
	if s.wrapped {
		return nil
	}
	return s.write(w, r, true)
}

// end logs out. It keeps the other values of an application's session.
func (s *session) end(w http.ResponseWriter, r *http.Request) error {
	if err := s.deleteRecord(); err != nil {
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
	if err := s.manager.RenewToken(s.ctx); err != nil || s.wrapped {
		return err
	}
	return s.write(w, r, true)
}

func (s *session) deleteRecord() error {
	record := s.manager.GetString(s.ctx, recordValue)
	if record == "" {
		return nil
	}
	return s.delete(record)
}

// write stores the session. It sets the cookie if the token is new or the cookie's expiry moves.
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

// setOwnCookie sets the cookie of the dashboard's own manager; an empty token deletes it.
func (s *session) setOwnCookie(w http.ResponseWriter, r *http.Request, token string) {
	cookie := dashboardCookie(r, ownCookie, token)
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
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

// A sessionStore keeps sessions in memory. Unlike scs's memstore it starts no goroutine: Commit removes
// expired sessions. Only a client that knows the password causes a Commit, so the store stays small.
type sessionStore struct {
	mu       sync.Mutex
	sessions map[string]storedSession
}

type storedSession struct {
	data   []byte
	expiry time.Time
}

// Find returns the data of a session that has not expired.
func (s *sessionStore) Find(token string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.sessions[token]
	if !ok || !time.Now().Before(found.expiry) {
		return nil, false, nil
	}
	return found.data, true, nil
}

// Commit stores the data of a session until expiry.
func (s *sessionStore) Commit(token string, data []byte, expiry time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for t, session := range s.sessions {
		if !now.Before(session.expiry) {
			delete(s.sessions, t)
		}
	}
	if s.sessions == nil {
		s.sessions = map[string]storedSession{}
	}
	s.sessions[token] = storedSession{data, expiry}
	return nil
}

// Delete removes a session if the store has it.
func (s *sessionStore) Delete(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, token)
	return nil
}
