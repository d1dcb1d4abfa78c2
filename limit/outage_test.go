package limit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

// An outage is a Backend that does not answer.
type outage struct{}

func (outage) Take(context.Context, string, []apikey.Limit, int64) (limit.Result, error) {
	return limit.Result{}, errors.New("connection refused")
}

func TestOutage(t *testing.T) {
	t.Parallel()
	for _, allow := range []bool{false, true} {
		var events []limit.Event
		s := newService(t, outage{}, limit.Options{AllowOnOutage: allow, Observe: func(_ context.Context, e limit.Event) { events = append(events, e) }}, 1)
		key, _ := s.issue("rate=1/1s")
		free, _ := s.issue("")
		w := s.get(key)
		require.Len(t, events, 1)
		assert.ErrorIs(t, events[0].Err, apikey.ErrUnavailable, "Observe gets the outage")
		assert.Equal(t, allow, events[0].Permitted)
		if allow {
			assert.Equal(t, http.StatusOK, w.Code)
		} else {
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.NotContains(t, w.Body.String(), "connection refused")
		}
		assert.Equal(t, http.StatusOK, s.get(free).Code, "a key without limits needs no backend")
	}
}

// A partialOutage is a Backend that fails for one subject.
type partialOutage struct{ limit.Backend }

func (b partialOutage) Take(ctx context.Context, subject string, limits []apikey.Limit, cost int64) (limit.Result, error) {
	if subject == "unlucky" {
		return limit.Result{}, errors.New("connection refused")
	}
	return b.Backend.Take(ctx, subject, limits, cost)
}

func TestOutageIsLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		logged := func() int {
			defer log.Reset()
			return strings.Count(log.String(), "\n")
		}
		limits, err := limit.New(partialOutage{limit.Memory()}, limit.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		take := func(id string) error {
			return limits.Take(t.Context(), &apikey.Key{ID: id, Limits: []apikey.Limit{{Name: "rate", Requests: 1000, Per: time.Second}}}, 1)
		}
		for range 100 {
			require.ErrorIs(t, take("unlucky"), apikey.ErrUnavailable)
			require.NoError(t, take("lucky"))
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1, logged(), "clients of a backend that fails for some keys do not fill the log")
		time.Sleep(10 * time.Second)
		require.NoError(t, take("lucky"))
		require.NoError(t, take("lucky"))
		assert.Equal(t, 1, logged(), "the end of the outage")
		require.ErrorIs(t, take("unlucky"), apikey.ErrUnavailable)
		assert.Equal(t, 1, logged(), "the next outage")
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		limits, err = limit.New(outage{}, limit.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Error(t, limits.Take(gone, &apikey.Key{ID: "1", Limits: []apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}}}, 1))
		assert.Zero(t, logged(), "a cancelled request is not an outage")
	})
}
