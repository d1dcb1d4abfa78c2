package serve

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-dev/apikey/cachestore"
)

// cacheMetrics is a prometheus.Collector for the statistics of a cache.
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
		lookups:   desc("lookups_total", "Lookups by the kind of answer.", "answer"),
		evictions: desc("evictions_total", "Entries evicted for other entries.", "kind"),
		failures:  desc("failures_total", "Failed queries of the database.", "question"),
		entries:   desc("entries", "Entries in memory.", "kind"),
		lease:     desc("lease_seconds", "Time for which the cache answers without the database."),
	}
}

// Describe implements prometheus.Collector.
func (m *cacheMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.lookups, m.evictions, m.failures, m.entries, m.lease} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
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
