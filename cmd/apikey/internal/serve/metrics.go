package serve

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

// metrics counts decisions for Prometheus. No label contains a key, its name, an address or a path, so
// the number of series is small and no series identifies a client.
type metrics struct {
	registry  *prometheus.Registry
	decisions *prometheus.CounterVec
	durations *prometheus.HistogramVec
	limits    *prometheus.CounterVec
	forward   *prometheus.CounterVec
	reloads   *prometheus.CounterVec
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "apikey_" + name, Help: help}, labels)
	}
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		decisions: counter("decisions_total", "Decisions about keys by outcome and source of the key.", "outcome", "source"),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apikey_decision_seconds", Help: "Time for a decision, including the store.",
			Buckets: []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1}, // from memory to a database that does not respond
		}, []string{"outcome"}),
		limits:  counter("limits_total", "Decisions about limits of keys.", "outcome"),
		forward: counter("forward_auth_total", "Answers to reverse proxies by status.", "status"),
		reloads: counter("reloads_total", "Reloads of the rules and the certificate.", "outcome"),
	}
	m.registry.MustRegister(m.decisions, m.durations, m.limits, m.forward, m.reloads,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe is an Options.Observe of package apikey.
func (m *metrics) observe(_ context.Context, e apikey.Event) {
	m.decisions.WithLabelValues(e.Outcome(), e.Source).Inc()
	if e.Duration > 0 { // 0 for decisions of Require
		m.durations.WithLabelValues(e.Outcome()).Observe(e.Duration.Seconds())
	}
}

// observeLimit is an Options.Observe of package limit.
func (m *metrics) observeLimit(_ context.Context, e limit.Event) {
	outcome := "permitted"
	switch {
	case apikey.StatusCode(e.Err) == http.StatusServiceUnavailable && e.Err != nil:
		outcome = "unavailable"
	case e.Err != nil:
		outcome = "limited"
	}
	m.limits.WithLabelValues(outcome).Inc()
}

func (m *metrics) reloaded(err error) {
	if err != nil {
		m.reloads.WithLabelValues("failed").Inc()
		return
	}
	m.reloads.WithLabelValues("done").Inc()
}

// handler serves /metrics. It needs no key, so only Prometheus should be able to reach it.
func (m *metrics) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
