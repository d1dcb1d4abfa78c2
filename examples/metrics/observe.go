package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/latchkey-dev/apikey"
)

// decisions reports the Events of Options.Observe as metrics and traces. The labels of the metrics
// are outcomes and sources, which have few values. Only traces contain the ID of the key, because a
// label with it would create a series for each key.
type decisions struct {
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	tracer   trace.Tracer
}

func newDecisions(metrics prometheus.Registerer, traces trace.TracerProvider) *decisions {
	d := &decisions{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "apikey_decisions_total", Help: "Decisions about keys by outcome and source of the key.",
		}, []string{"outcome", "source"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "apikey_decision_seconds", Help: "Time for a decision, including the store.",
			Buckets: []float64{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1}, // from memory to a database that does not respond
		}, []string{"outcome"}),
		tracer: traces.Tracer("github.com/latchkey-dev/apikey"),
	}
	metrics.MustRegister(d.total, d.duration)
	return d
}

// observe is an Options.Observe.
func (d *decisions) observe(ctx context.Context, e apikey.Event) {
	outcome := e.Outcome()
	d.total.WithLabelValues(outcome, e.Source).Inc()
	if e.Duration > 0 { // 0 for decisions of Require
		d.duration.WithLabelValues(outcome).Observe(e.Duration.Seconds())
	}

	end := time.Now()
	_, span := d.tracer.Start(ctx, "apikey", trace.WithTimestamp(end.Add(-e.Duration)))
	span.SetAttributes(attribute.String("apikey.outcome", outcome), attribute.String("apikey.source", e.Source))
	if e.Key != nil {
		span.SetAttributes(attribute.String("apikey.id", e.Key.ID)) // not a secret
	}
	if outcome == "unavailable" {
		span.SetStatus(codes.Error, "the key store failed")
	}
	span.End(trace.WithTimestamp(end))
}
