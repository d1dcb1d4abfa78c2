package leak

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

const (
	maxVerifyBody = 8 << 10 // bytes
	maxVerifiers  = 32      // keys at a time
)

// Verify returns an endpoint that tells a scanner whether a key that it found is live. It reads the request
// of a custom detector of trufflehog, {"detector": {"name": ["match", "group"]}}, with one detector and one
// name, and takes the last text as the key. The body has at most 8 KiB.
//
//	200  the key may be used now, perhaps only from certain networks
//	401  the key is unknown, revoked, suspended or expired
//	400  the body is not such a request
//	503  the store did not answer, or more than 32 keys are looked up at a time
//
// The endpoint needs no authentication, because a caller learns the same by using the key. A text that is
// not in the [apikey.Format] costs no lookup. Limit the rate of other requests in front of the endpoint. It
// neither revokes a key nor records a use. It uses only the options Timeout and Logger.
//
// The handler is safe for concurrent use. The error wraps [apikey.ErrInvalid] if d is nil or an option is
// out of its limits.
func Verify(d *manage.Desk, o Options) (http.Handler, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	session, err := newSession(d, manage.Access{Actor: "verifier", ReadOnly: true})
	if err != nil {
		return nil, err
	}
	return &verifier{session: session, options: o, slots: make(chan struct{}, maxVerifiers)}, nil
}

type verifier struct {
	session *manage.Session
	options Options
	readers readers // so that slow requests do not take the slots
	slots   chan struct{}
}

// ServeHTTP answers whether a text is a live key.
func (v *verifier) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, "Send keys with POST.")
		return
	}
	leave, ok := v.readers.enter(w)
	if !ok {
		tryAgain(w)
		return
	}
	secret, ok := v.read(w, r, leave)
	if !ok {
		answer(w, http.StatusBadRequest, "Send one detector with one name and its texts.")
		return
	}
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	default:
		tryAgain(w)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), v.options.Timeout)
	defer cancel()
	switch live, err := v.isLive(ctx, secret); {
	case err != nil:
		if !errors.Is(r.Context().Err(), context.Canceled) { // otherwise the client has gone
			v.options.Logger.ErrorContext(ctx, "leak: key store failed", "error", err)
		}
		tryAgain(w)
	case !live:
		w.Header().Set("WWW-Authenticate", "ApiKey")
		answer(w, http.StatusUnauthorized, "The key is not live.")
	default:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, `{"live":true}`)
	}
}

// read returns the key of a request. It calls leave when the body has been read.
func (v *verifier) read(w http.ResponseWriter, r *http.Request, leave func()) (apikey.Secret, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxVerifyBody))
	leave()
	if err != nil {
		return apikey.Secret{}, false
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{})
	return parseVerification(body)
}

// parseVerification returns the key in the request of a detector.
func parseVerification(body []byte) (apikey.Secret, bool) {
	var detectors map[string]map[string][]string
	if json.Unmarshal(body, &detectors) != nil || len(detectors) != 1 {
		return apikey.Secret{}, false
	}
	for _, names := range detectors {
		for _, texts := range names {
			if len(names) == 1 && len(texts) > 0 && texts[len(texts)-1] != "" {
				return apikey.NewSecret(texts[len(texts)-1]), true
			}
		}
	}
	return apikey.Secret{}, false
}

// isLive reports whether a key may be used now.
func (v *verifier) isLive(ctx context.Context, secret apikey.Secret) (bool, error) {
	key, err := v.session.Identify(ctx, secret)
	if isUnknown(err) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return key.Check(time.Now()) == nil, nil
}
