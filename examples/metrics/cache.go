package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-dev/apikey/cachestore"
)

// cacheMetrics reads a cache's statistics when it is scraped.
type cacheMetrics struct {
	stats                                 func() cachestore.Stats
	lookups, evictions, failures, entries *prometheus.Desc
	lease                                 *prometheus.Desc
}

func newCacheMetrics(stats func() cachestore.Stats) *cacheMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("apikey_cache_"+name, help, labels, nil)
	}
	return &cacheMetrics{
		stats:     stats,
		lookups:   desc("lookups_total", "Lookups by how they were answered.", "answer"),
		evictions: desc("evictions_total", "Entries that made room for others.", "kind"),
		failures:  desc("failures_total", "Questions to the database that were not answered.", "question"),
		entries:   desc("entries", "Entries in memory.", "kind"),
		lease:     desc("lease_seconds", "How long keys in memory are used if the database does not answer."),
	}
}

// Describe is for prometheus.Collector.
func (m *cacheMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.lookups, m.evictions, m.failures, m.entries, m.lease} {
		to <- d
	}
}

// Collect is for prometheus.Collector.
func (m *cacheMetrics) Collect(to chan<- prometheus.Metric) {
	s := m.stats()
	count := func(d *prometheus.Desc, n uint64, label string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label)
	}
	count(m.lookups, s.Hits, "hit")
	count(m.lookups, s.UnknownHits, "unknown hit")
	count(m.lookups, s.Misses, "miss")
	count(m.lookups, s.Refused, "refused")
	count(m.evictions, s.Evictions, "key")
	count(m.evictions, s.UnknownEvictions, "unknown")
	count(m.failures, s.LoadErrors, "load")
	count(m.failures, s.PollFailures, "poll")
	for kind, n := range map[string]int{"key": s.Keys, "unknown": s.UnknownDigests} {
		to <- prometheus.MustNewConstMetric(m.entries, prometheus.GaugeValue, float64(n), kind)
	}
	to <- prometheus.MustNewConstMetric(m.lease, prometheus.GaugeValue, s.LeaseRemaining.Seconds())
}
