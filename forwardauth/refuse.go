package forwardauth

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// The reasons for which Restore refuses a subrequest.
var (
	errPeer       = errors.New("forwardauth: the peer is not a trusted proxy")
	errAmbiguous  = errors.New("forwardauth: ambiguous original request")
	errIncomplete = errors.New("forwardauth: incomplete subrequest")
)

// refuse writes a fixed response for one of the reasons above, as problem+json (RFC 9457).
func refuse(w http.ResponseWriter, err error) {
	status, detail := http.StatusServiceUnavailable, "The subrequest of the proxy is incomplete."
	switch {
	case errors.Is(err, errPeer):
		status, detail = http.StatusForbidden, "Only trusted proxies can ask this service."
	case errors.Is(err, errAmbiguous):
		status, detail = http.StatusBadRequest, "The method or the URI of the request is ambiguous."
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/problem+json")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	io.WriteString(w, `{"type":"about:blank","title":`+strconv.Quote(http.StatusText(status))+
		`,"status":`+strconv.Itoa(status)+`,"detail":`+strconv.Quote(detail)+"}\n")
}

// warnings logs faults of the configuration, at most one in warnEvery. It is safe for concurrent use.
type warnings struct {
	logger *slog.Logger
	last   atomic.Pointer[time.Time]
}

const warnEvery = 10 * time.Second

// add logs the reason of a refusal, except ambiguity, which a client can cause.
func (s *warnings) add(r *http.Request, err error) {
	if errors.Is(err, errAmbiguous) {
		return
	}
	now, last := time.Now(), s.last.Load()
	if last != nil && now.Sub(*last) < warnEvery || !s.last.CompareAndSwap(last, &now) {
		return
	}
	logger := s.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.WarnContext(r.Context(), err.Error(), "peer", r.RemoteAddr)
}
