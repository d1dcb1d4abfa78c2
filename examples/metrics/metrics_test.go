package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestMetricsAndTraces(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	cache, err := cachestore.New(store, cachestore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { cache.Close() })
	// The cache stores nothing before its first poll.
	require.Eventually(t, func() bool { return cache.Stats().LeaseRemaining > 0 }, 10*time.Second, time.Millisecond)
	spans := tracetest.NewInMemoryExporter()
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	handler, err := newService(cache, prometheus.NewRegistry(), traces)
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Canary name"})
	require.NoError(t, err)
	unknown, _, err := must(apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})).Issue(t.Context(), apikey.NewKey{Name: "Unknown"})
	require.NoError(t, err)

	send := func(method, target, presented string) string {
		r := httptest.NewRequest(method, target, nil)
		if presented != "" {
			r.Header.Set("X-API-Key", presented)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Body.String()
	}
	for range 3 {
		send("GET", "/library", secret.Reveal()) // a miss and two hits
	}
	send("GET", "/library?api_key="+secret.Reveal(), "")
	send("GET", "/library", "")
	send("GET", "/library", "canary-malformed")
	send("GET", "/library", unknown.Reveal())   // a miss
	send("GET", "/library", unknown.Reveal())   // a hit, because the cache remembers unknown keys
	send("DELETE", "/library", secret.Reveal()) // accepted by the Middleware, refused by Require
	_, err = store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	send("GET", "/library", secret.Reveal())
	exposed := send("GET", "/metrics", "")

	t.Run("series", func(t *testing.T) {
		var series []string
		for _, line := range strings.Split(exposed, "\n") {
			if strings.HasPrefix(line, "apikey_decisions_total") || strings.HasPrefix(line, "apikey_decision_seconds_count") ||
				strings.HasPrefix(line, "apikey_cache_lookups_total") || strings.HasPrefix(line, "apikey_cache_entries") {
				series = append(series, line)
			}
		}
		slices.Sort(series)
		assert.Equal(t, []string{
			`apikey_cache_entries{kind="key"} 1`,
			`apikey_cache_entries{kind="unknown"} 1`,
			`apikey_cache_lookups_total{answer="hit"} 4`,
			`apikey_cache_lookups_total{answer="miss"} 3`,
			`apikey_cache_lookups_total{answer="refused"} 0`,
			`apikey_cache_lookups_total{answer="unknown hit"} 1`,
			`apikey_decision_seconds_count{outcome="accepted"} 5`,
			`apikey_decision_seconds_count{outcome="malformed"} 1`,
			`apikey_decision_seconds_count{outcome="missing"} 1`,
			`apikey_decision_seconds_count{outcome="revoked"} 1`,
			`apikey_decision_seconds_count{outcome="unknown"} 2`,
			`apikey_decisions_total{outcome="accepted",source="header X-API-Key"} 4`,
			`apikey_decisions_total{outcome="accepted",source="query api_key"} 1`,
			`apikey_decisions_total{outcome="forbidden",source=""} 1`,
			`apikey_decisions_total{outcome="malformed",source="header X-API-Key"} 1`,
			`apikey_decisions_total{outcome="missing",source=""} 1`,
			`apikey_decisions_total{outcome="revoked",source="header X-API-Key"} 1`,
			`apikey_decisions_total{outcome="unknown",source="header X-API-Key"} 2`,
		}, series)
	})
	t.Run("no label identifies a key", func(t *testing.T) {
		for _, private := range []string{secret.Reveal(), unknown.Reveal(), key.ID, key.Hint, key.Hint[len(key.Hint)-4:], key.Name, "canary"} {
			assert.NotContains(t, exposed, private)
		}
		values := map[string]bool{}
		for _, match := range regexp.MustCompile(`(outcome|source|answer|kind|question)="([^"]*)"`).FindAllStringSubmatch(exposed, -1) {
			values[match[2]] = true
		}
		assert.LessOrEqual(t, len(values), 20)
	})
	t.Run("spans", func(t *testing.T) {
		var got []string
		for _, span := range spans.GetSpans() {
			assert.Equal(t, "apikey", span.Name)
			attributes := map[string]string{}
			for _, a := range span.Attributes {
				attributes[string(a.Key)] = a.Value.AsString()
			}
			got = append(got, fmt.Sprintf("%s by %q", attributes["apikey.outcome"], strings.ReplaceAll(attributes["apikey.id"], key.ID, "ID")))
		}
		assert.Equal(t, []string{
			`accepted by "ID"`, `accepted by "ID"`, `accepted by "ID"`, `accepted by "ID"`, `missing by ""`, `malformed by ""`,
			`unknown by ""`, `unknown by ""`, `accepted by "ID"`, `forbidden by "ID"`, `revoked by "ID"`,
		}, got)
		all := fmt.Sprintf("%+v", spans.GetSpans())
		for _, private := range []string{secret.Reveal(), unknown.Reveal(), key.Hint, "canary"} {
			assert.NotContains(t, all, private)
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The exporter writes traces in batches. Shutdown must write the last batch.
func TestLastTracesAreWritten(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	var traces bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, in, &traces, "localhost:0") }()
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	line := strings.Split(lines.Text(), "'")
	require.True(t, lines.Scan())
	_, key, _ := strings.Cut(line[1], ": ")
	r, err := http.NewRequestWithContext(t.Context(), "GET", strings.TrimSpace(line[2]), nil)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", key)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode)
	stop()
	require.NoError(t, <-ended)
	assert.Contains(t, traces.String(), `"Value":"accepted"`)
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Equal(t, "Hello, Backup job!\n", program.Curl(t, p.Line("/library")))
	assert.Contains(t, program.Curl(t, p.Line("/metrics")), `apikey_decisions_total{outcome="accepted",source="header X-API-Key"} 1`)
}
