package limit

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// setFields describes the limits in the header of a response, as draft-ietf-httpapi-ratelimit-headers-11
// does.
func (l *Limiter) setFields(h http.Header, limits []apikey.Limit, result *Result) {
	var policy, state strings.Builder
	nearest := 0
	for i := range limits {
		if i > 0 {
			policy.WriteString(", ")
			state.WriteString(", ")
		}
		writePolicy(&policy, &limits[i])
		s := &result.States[i]
		state.WriteString(`"` + limits[i].Name + `";r=` + strconv.FormatInt(s.Remaining, 10) + ";t=" + seconds(s.reset()))
		if s.Remaining < result.States[nearest].Remaining {
			nearest = i
		}
	}
	h.Set("Ratelimit-Policy", policy.String())
	h.Set("Ratelimit", state.String())
	if l.o.XRateLimit {
		s := &result.States[nearest]
		h.Set("X-Ratelimit-Limit", strconv.FormatInt(limits[nearest].Requests, 10))
		h.Set("X-Ratelimit-Remaining", strconv.FormatInt(s.Remaining, 10))
		h.Set("X-Ratelimit-Reset", seconds(s.reset()))
	}
}

// reset returns the time of the parameter t. For a limit that refused the request it is that of Retry-After, because
// both ought to name the same moment.
func (s *State) reset() time.Duration {
	if s.Wait > 0 {
		return s.Wait
	}
	return s.Reset
}

// writePolicy writes a policy. It leaves the window out if that is not a number of whole seconds.
func writePolicy(b *strings.Builder, l *apikey.Limit) {
	b.WriteString(`"` + l.Name + `";q=` + strconv.FormatInt(l.Requests, 10))
	switch {
	case l.Calendar == "day":
		b.WriteString(";w=86400")
	case l.Calendar == "" && l.Per%time.Second == 0:
		b.WriteString(";w=" + strconv.FormatInt(int64(l.Per/time.Second), 10))
	}
}

// seconds returns a duration in whole seconds, rounded up.
func seconds(d time.Duration) string {
	n := int64(d / time.Second)
	if d%time.Second > 0 { // a sum could exceed the longest time.Duration
		n++
	}
	return strconv.FormatInt(n, 10)
}
