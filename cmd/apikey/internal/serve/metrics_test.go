package serve

import (
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

// A dashboard and an alert name a bucket by its text, so 1e-05 must not read 9.999999999999999e-06.
func TestBucketsOfDurationsAreRoundNumbers(t *testing.T) {
	t.Parallel()
	m := newMetrics()
	m.observe(t.Context(), apikey.Event{Duration: time.Millisecond})
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	var buckets []string
	for _, match := range regexp.MustCompile(`apikey_decision_seconds_bucket.*le="(.*)"`).FindAllStringSubmatch(w.Body.String(), -1) {
		buckets = append(buckets, match[1])
	}
	assert.Equal(t, []string{"1e-06", "1e-05", "0.0001", "0.001", "0.01", "0.1", "1", "+Inf"}, buckets)
}
