package emby

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// requireLinear requires that the work on a text grows linearly with its length. For a text 64
// times as long, quadratic work takes 4096 times as long. The tolerance of 16 allows for a busy
// machine. prepare returns the work on a text.
func requireLinear(t *testing.T, unit, tail string, size int, prepare func(text string) func()) {
	t.Helper()
	const factor, tolerance = 64, 16
	measure := func(n int) time.Duration {
		work := prepare(strings.Repeat(unit, n*size/len(unit)) + strings.Repeat(tail, n))
		best := time.Hour
		for range 5 { // the best of 5, because disturbances only add time
			begin := time.Now()
			work()
			best = min(best, time.Since(begin))
		}
		return best
	}
	var short, long time.Duration
	for range 10 { // quadratic work exceeds the tolerance each time, a busy machine does not
		if short, long = measure(1), measure(factor); long < tolerance*factor*short {
			return
		}
	}
	t.Fatalf("%q takes %v, and %v if it is %d times as long", unit, short, long, factor)
}

func TestTokenOfIsLinear(t *testing.T) {
	const size = 2 << 10
	for _, unit := range []string{
		",", `"`, "=", "=,", "= ", "=\t\"", "Token=,", `Token="%41",`, `"",`, "Token=%", ` "Token=a`, `Token="",`,
		"Token=", "Token= ", "Token=a,", `a="Token=`, `=",Token=`, "MediaBrowser ", "Emby,", "Token=,,", `Token="\",`, "Token=,a",
		"Token=\u00a0,", "\u00a0=", "Token=+,", `Token=,"a`,
	} {
		for _, tail := range []string{"", strings.Repeat(" ", size), strings.Repeat("=", size)} {
			requireLinear(t, unit, tail, size, func(text string) func() {
				lines := []string{"Emby " + text + ","}
				return func() {
					_, err := tokenOf(lines)
					require.True(t, err == nil || err == apikey.ErrAmbiguous, unit)
				}
			})
		}
	}
}

func TestFoldIsLinear(t *testing.T) {
	const size = 2 << 10
	all := newPatterns([]string{"/{a}/{b}/x", "/a/{b}/y", "/{rest...}"})
	for _, unit := range []string{"/", "a", "/a", "/.", "/..", "/%2e", "/a/..", "%2F", "/Auth", "/Keys", "/Keys/Auth", "/emby"} {
		for _, tail := range []string{"", strings.Repeat("/", size), strings.Repeat("/..", size/3)} {
			requireLinear(t, unit, tail, size, func(text string) func() {
				r := httptest.NewRequest("GET", "/"+text, nil)
				return func() { all.fold(r) }
			})
		}
	}
}
