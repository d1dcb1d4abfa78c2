package admin

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRelativeTimes(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, test := range []struct {
		away         time.Duration
		past, future string
	}{
		{0, "just now", "just now"},
		{59 * time.Second, "just now", "just now"},
		{time.Minute, "1 min ago", "in 1 min"},
		{119*time.Minute + 59*time.Second, "119 min ago", "in 120 min"},
		{2 * time.Hour, "2 h ago", "in 2 h"},
		{day - time.Second, "23 h ago", "in 24 h"},
		{day, "yesterday", "tomorrow"},
		{2*day - time.Second, "yesterday", "in 2 days"},
		{2 * day, "2 days ago", "in 2 days"},
		{7*day - time.Second, "6 days ago", "in 7 days"},
		{61 * day, "2 months ago", "in 2 months"},
		{90*day - time.Second, "2 months ago", "in 3 months"},
		{2 * 365 * day, "2 years ago", "in 2 years"},
		{100 * 365 * day, "100 years ago", "in 100 years"},
	} {
		assert.Equal(t, test.past, english.relative(-test.away), test.away)
		assert.Equal(t, test.future, english.relative(test.away), test.away)
	}
}
