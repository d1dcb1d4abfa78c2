package apikey_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestLimitsAsText(t *testing.T) {
	t.Parallel()
	limits := []apikey.Limit{
		{Name: "api", Requests: 100, Per: time.Minute, Burst: 20},
		{Name: "slow", Requests: 7, Per: 90 * time.Second},
		{Name: "quota", Requests: 10000, Calendar: "month"},
	}
	text := "api=100/1m0s+20 slow=7/1m30s quota=10000/month"
	assert.Equal(t, text, strings.Join([]string{limits[0].String(), limits[1].String(), limits[2].String()}, " "))
	parsed, err := apikey.ParseLimits(" " + text + "\n")
	require.NoError(t, err)
	assert.Equal(t, limits, parsed)
	parsed, err = apikey.ParseLimits("")
	require.NoError(t, err)
	assert.Empty(t, parsed)
}

func TestParseLimitsRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rule, text string }{
		{"no name", "=1/1s"},
		{"a capital letter", "Api=1/1s"},
		{"31 characters", strings.Repeat("a", 31) + "=1/1s"},
		{"no number", "a=/1s"},
		{"0 requests", "a=0/1s"},
		{"a negative number", "a=-1/1s"},
		{"more than 1,000,000,000 requests", "a=1000000001/1s"},
		{"more than 64 bits", "a=99999999999999999999/1s"},
		{"no time", "a=1"},
		{"an unknown unit", "a=1/1w"},
		{"an unknown calendar", "a=1/week"},
		{"less than a millisecond", "a=1/999us"},
		{"a fraction of a microsecond", "a=1/1000001ns"},
		{"more than 366 days", "a=1/8785h"},
		{"a burst of 0", "a=1/1s+0"},
		{"a negative burst", "a=1/1s+-1"},
		{"a burst of a quota", "a=1/day+5"},
		{"one name twice", "a=1/1s a=2/1s"},
		{"nine limits", "a=1/1s b=1/1s c=1/1s d=1/1s e=1/1s f=1/1s g=1/1s h=1/1s i=1/1s"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			_, err := apikey.ParseLimits(test.text)
			assert.ErrorIs(t, err, apikey.ErrInvalid)
		})
	}
}

func FuzzParseLimits(f *testing.F) {
	f.Add("api=100/1m0s+20 quota=10000/month")
	f.Fuzz(func(t *testing.T, text string) {
		limits, err := apikey.ParseLimits(text)
		if err != nil {
			return
		}
		key := apikey.Key{ID: "1", Name: "n", Limits: limits}
		require.NoError(t, key.Validate(), "limits that were parsed are valid")
		var words []string
		for _, l := range limits {
			words = append(words, l.String())
		}
		again, err := apikey.ParseLimits(strings.Join(words, " "))
		require.NoError(t, err)
		require.Equal(t, limits, again)
	})
}
