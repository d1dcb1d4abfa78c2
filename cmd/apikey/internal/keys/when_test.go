package keys

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const day = 24 * time.Hour

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "90d": 90 * day, "12h": 12 * time.Hour, "1w2d": 9 * day, "1h30m": 90 * time.Minute, "30s": 30 * time.Second,
		"36500d": 36500 * day, "090d": 90 * day,
	} {
		got, err := parseDuration(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "d", "90", "90 d", "-1d", "+1d", "1.5d", "1y", "1D", "1d-", "1d 2h", "36501d", "36500d1s", "9999999999999999999999d", "9999999999999999999s", "18446744073709551617s", "184467440737095516160d", "٣d", "1d\n", "never",
	} {
		_, err := parseDuration(text)
		assert.Error(t, err, text)
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"90d":                       now.Add(90 * day),
		"2027-01-31":                time.Date(2027, 1, 31, 0, 0, 0, 0, time.Local),
		"2027-01-31 08:30":          time.Date(2027, 1, 31, 8, 30, 0, 0, time.Local),
		"2027-01-31T08:30":          time.Date(2027, 1, 31, 8, 30, 0, 0, time.Local),
		"2027-01-31 08:30:15":       time.Date(2027, 1, 31, 8, 30, 15, 0, time.Local),
		"2027-01-31T08:30:15":       time.Date(2027, 1, 31, 8, 30, 15, 0, time.Local),
		"2027-01-31T12:00:00Z":      time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC),
		"2027-01-31T12:00:00+02:00": time.Date(2027, 1, 31, 10, 0, 0, 0, time.UTC),
	} {
		got, err := after(text, now)
		require.NoError(t, err, text)
		assert.True(t, want.Equal(got), "%s: %v", text, got)
	}
	got, err := before("90d", now)
	require.NoError(t, err)
	assert.Equal(t, now.Add(-90*day), got)
	for _, text := range []string{"", "2027", "2027-1-31", "2027-02-30", "31.01.2027", "tomorrow", "1969-12-31", "0001-01-01T00:00:00Z", "10000-01-01"} {
		_, err := after(text, now)
		assert.Error(t, err, text)
	}
}

func FuzzTimes(f *testing.F) {
	for _, seed := range []string{"90d", "1w2d3h4m5s", "2027-01-31", "2027-01-31T12:00:00Z", "2027-01-31 08:30", "never", "99999999999d", "0"} {
		f.Add(seed)
	}
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDuration(text); err == nil {
			if d < 0 || d > maxDuration {
				t.Errorf("%q is %v", text, d)
			}
			if again, err := parseDuration(strings.TrimLeft(text, "0") + "0s"); err == nil && d != 0 && again != d {
				t.Errorf("%q is %v, and with 0s more it is %v", text, d, again)
			}
		}
		if at, err := after(text, now); err == nil && (at.Unix() <= 0 || at.Year() > 9999) {
			t.Errorf("%q is %v, which no key can have", text, at)
		}
	})
}
