package leak

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey/manage"
)

const (
	maxRequests = 16 // requests with a valid signature that are handled at a time
	maxBodies   = maxRequests * maxBody
)

// A receiver is an endpoint for reports of one sender.
type receiver struct {
	session *manage.Session
	cleaner cleaner
	options Options
	name    string
	// authenticate checks the header of a request, before its body is read. It returns a function that
	// verifies the body.
	authenticate func(*http.Request) (verify func(body []byte) bool, err error)
	readers      readers
	slots        chan struct{}
	bodies       atomic.Int64 // the bytes of all bodies in memory
}

func newReceiver(d *manage.Desk, name string, o Options) (*receiver, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	session, err := newSession(d, manage.Access{Actor: name})
	if err != nil {
		return nil, err
	}
	c, err := newCleaner(d)
	if err != nil {
		return nil, err
	}
	return &receiver{session: session, cleaner: c, options: o, name: name, slots: make(chan struct{}, maxRequests)}, nil
}

var (
	// errForged means that a request does not come from the sender.
	errForged = errors.New("leak: the signature is missing or wrong")
	// errUndecided means that the receiver could not find out whether a request comes from the sender.
	errUndecided = errors.New("leak: the signature cannot be verified now")
	// errBusy means that too many bodies are read, or that they take too much memory.
	errBusy = errors.New("leak: too many bodies")
)

// ServeHTTP revokes the reported keys if the sender signed the request, and answers with a verdict on each.
func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answer(w, http.StatusMethodNotAllowed, "Send reports with POST.")
		return
	}
	body := &countedBody{Reader: http.MaxBytesReader(w, r.Body, maxBody), all: &rc.bodies}
	defer body.release()
	reports, err := rc.read(w, r, body)
	if err != nil {
		rc.refuse(w, r, err)
		return
	}
	select {
	case rc.slots <- struct{}{}:
		defer func() { <-rc.slots }()
	default:
		tryAgain(w)
		return
	}
	// A sender that disconnects must not protect the keys that are not revoked yet.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rc.options.Timeout)
	defer cancel()
	verdicts := revokeAll(ctx, rc.session, reports)
	texts := rc.cleaner.of(verdicts)
	if !rc.tell(ctx, reports, verdicts, texts) {
		tryAgain(w)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(feedbackOn(reports, verdicts, texts))
}

// read returns the reports of a request from the sender.
func (rc *receiver) read(w http.ResponseWriter, r *http.Request, from io.Reader) ([]reported, error) {
	verify, err := rc.authenticate(r)
	if err != nil {
		return nil, err
	}
	// Reading has slots of its own. Otherwise an attacker without the key could block the sender with a few slow
	// requests.
	leave, ok := rc.readers.enter(w)
	if !ok {
		return nil, errBusy
	}
	body, err := io.ReadAll(from)
	leave()
	if err != nil {
		return nil, err
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{}) // otherwise the server would end a longer request
	if !verify(body) {
		return nil, errForged
	}
	return parseReports(body)
}

// smallBody is the number of bytes of each body that do not count. Otherwise forged large bodies could keep the small ones
// of the sender out.
const smallBody = 64 << 10

// A countedBody adds its bytes to those of all bodies in memory, until release.
type countedBody struct {
	io.Reader
	all     *atomic.Int64
	read    int64
	counted int64
}

// Read returns errBusy if the bodies in memory exceed maxBodies.
func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += int64(n)
	if more := max(0, b.read-smallBody) - b.counted; more > 0 {
		b.counted += more
		if b.all.Add(more) > maxBodies {
			return n, errBusy
		}
	}
	return n, err
}

func (b *countedBody) release() { b.all.Add(-b.counted) }

// refuse answers a request whose reports were not read.
func (rc *receiver) refuse(w http.ResponseWriter, r *http.Request, err error) {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case errors.Is(err, errUndecided), errors.Is(err, errBusy):
		tryAgain(w)
	case errors.Is(err, errForged):
		rc.options.Logger.DebugContext(r.Context(), "leak: request refused", "reporter", rc.name, "error", err)
		answer(w, http.StatusForbidden, "The signature is missing or wrong.")
	case tooLarge, errors.Is(err, errTooManyReports):
		rc.options.Logger.ErrorContext(r.Context(), "leak: reports are too large", "reporter", rc.name)
		answer(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("Send at most %d reports and %d bytes.", maxReports, maxBody))
	case errors.Is(err, errNotReports):
		rc.options.Logger.ErrorContext(r.Context(), "leak: reports cannot be read", "reporter", rc.name)
		answer(w, http.StatusBadRequest, "The body is not a JSON array of reports.")
	default:
		answer(w, http.StatusBadRequest, "The body could not be read.")
	}
}

// tell logs the verdicts and calls OnLeak. It returns false if the sender must repeat the reports.
func (rc *receiver) tell(ctx context.Context, reports []reported, verdicts map[text]verdict, texts cleaning) (done bool) {
	done = true
	failures := 0
	var failure error
	logged := make(map[string]bool)
	for _, r := range reports {
		v := verdicts[r.Token]
		switch {
		case v.err != nil:
			failures, failure, done = failures+1, v.err, false
			continue
		case !v.ours:
			continue
		case !v.alreadyRevoked && !logged[v.key.ID]:
			logged[v.key.ID] = true
			rc.options.Logger.InfoContext(ctx, "leak: key revoked", "key", v.key.ID, "reporter", rc.name)
		}
		if err := rc.call(ctx, r, v, texts); err != nil {
			done = false
			rc.options.Logger.ErrorContext(ctx, "leak: OnLeak failed", "key", v.key.ID, "error", err)
		}
	}
	if failure != nil {
		rc.options.Logger.ErrorContext(ctx, "leak: key store failed", "reports", failures, "error", failure)
	}
	return done
}

// call passes one report on to OnLeak.
func (rc *receiver) call(ctx context.Context, r reported, v verdict, texts cleaning) error {
	if rc.options.OnLeak == nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return rc.options.OnLeak(ctx, Report{
		Key:            v.key.Clone(),
		AlreadyRevoked: v.alreadyRevoked,
		Reporter:       rc.name,
		Type:           texts.clean(string(r.Type), r.Token, maxLabel),
		URL:            texts.clean(string(r.URL), r.Token, maxURL),
		Source:         texts.clean(string(r.Source), r.Token, maxLabel),
	})
}

// A feedback tells the sender whether a token is a key of this service.
type feedback struct {
	TokenHash string `json:"token_hash"` // SHA-256 in hexadecimal, because a response must not contain a key
	TokenType string `json:"token_type"`
	Label     string `json:"label"`
}

func feedbackOn(reports []reported, verdicts map[text]verdict, texts cleaning) []feedback {
	type tokenAndType struct{ token, kind text }
	seen := make(map[tokenAndType]bool)
	all := []feedback{}
	for _, r := range reports {
		if one := (tokenAndType{r.Token, r.Type}); seen[one] {
			continue
		} else {
			seen[one] = true
		}
		label := "false_positive"
		if verdicts[r.Token].ours {
			label = "true_positive"
		}
		sum := sha256.Sum256([]byte(r.Token))
		all = append(all, feedback{hex.EncodeToString(sum[:]), texts.clean(string(r.Type), r.Token, maxLabel), label})
	}
	return all
}

// answer writes a problem with a fixed text (RFC 9457).
func answer(w http.ResponseWriter, status int, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"about:blank","title":%q,"status":%d,"detail":%q}`, http.StatusText(status), status, detail)
}

const retryAfter = 5 * time.Second

// tryAgain asks the sender to repeat the request.
func tryAgain(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	answer(w, http.StatusServiceUnavailable, "The request could not be handled completely. Send it again.")
}
