package main

import (
	"context"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

// exposed returns the metrics of a registry as Prometheus reads them.
func exposed(registry *prometheus.Registry) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

// A slowStore delays each lookup.
type slowStore struct{ *memstore.Store }

const delay = 250 * time.Millisecond

func (s slowStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	time.Sleep(delay)
	return s.Store.Lookup(ctx, d)
}

func TestDurationsIncludeTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, registry, spans := slowStore{memstore.New()}, prometheus.NewRegistry(), tracetest.NewInMemoryExporter()
		decisions := newDecisions(registry, sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
		auth, err := apikey.New(store, apikey.Options{Observe: decisions.observe})
		require.NoError(t, err)
		issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
		require.NoError(t, err)
		secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
		require.NoError(t, err)
		_, err = auth.Verify(t.Context(), secret)
		require.NoError(t, err)

		assert.Contains(t, exposed(registry), `apikey_decision_seconds_sum{outcome="accepted"} 0.25`+"\n")
		span := spans.GetSpans()[0]
		assert.Equal(t, delay, span.EndTime.Sub(span.StartTime))

		// A decision of Require has the duration 0, so the histogram does not count it.
		decisions.observe(t.Context(), apikey.Event{Err: apikey.ErrForbidden, Key: &key})
		assert.NotContains(t, exposed(registry), `apikey_decision_seconds_sum{outcome="forbidden"}`)
		assert.Contains(t, exposed(registry), `apikey_decisions_total{outcome="forbidden",source=""} 1`)
	})
}

func TestCacheMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCacheMetrics(func() cachestore.Stats {
		return cachestore.Stats{
			Hits: 1, UnknownHits: 2, Misses: 3, Refused: 4, LoadErrors: 5, Evictions: 6, UnknownEvictions: 7, PollFailures: 8,
			Keys: 9, UnknownDigests: 10, LeaseRemaining: 2500 * time.Millisecond,
		}
	}))
	got := exposed(registry)
	for _, series := range []string{
		`apikey_cache_lookups_total{answer="hit"} 1`,
		`apikey_cache_lookups_total{answer="unknown hit"} 2`,
		`apikey_cache_lookups_total{answer="miss"} 3`,
		`apikey_cache_lookups_total{answer="refused"} 4`,
		`apikey_cache_failures_total{question="load"} 5`,
		`apikey_cache_evictions_total{kind="key"} 6`,
		`apikey_cache_evictions_total{kind="unknown"} 7`,
		`apikey_cache_failures_total{question="poll"} 8`,
		`apikey_cache_entries{kind="key"} 9`,
		`apikey_cache_entries{kind="unknown"} 10`,
		`apikey_cache_lease_seconds 2.5`,
	} {
		assert.Contains(t, got, series+"\n")
	}
}
