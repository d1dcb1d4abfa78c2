package apikey_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// uriFields are header fields in which proxies and clients pass on the URI of a request.
var uriFields = []string{
	"X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Envoy-Original-Path", "X-Waws-Unencoded-Url",
	"X-Ms-Original-Url", "X-Auth-Request-Redirect", "X-Replaced-Path", "Hx-Current-Url", "X_original_uri", "Referer", "X-Anything",
}

func TestRedactURI(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for _, test := range []struct{ name, uri, want string }{
		{"an empty text", "", ""},
		{"no key", "/p?a=1", "/p?a=1"},
		{"only a key", "/p?api_key={valid}", "/p?api_key=REDACTED"},
		{"a key between other parameters", "/p?a=1&api_key={valid}&b=2", "/p?a=1&api_key=REDACTED&b=2"},
		{"several keys", "/p?api_key={valid}&API_KEY=x", "/p?api_key=REDACTED&API_KEY=REDACTED"},
		{"an escaped name", "/p?%61pi%5Fkey=x", "/p?%61pi%5Fkey=REDACTED"},
		{"an empty value", "/p?api_key=&a=1", "/p?api_key=REDACTED&a=1"},
		{"a name without a value", "/p?api_key&a=1", "/p?api_key&a=1"},
		{"another name", "/p?my_api_key=x", "/p?my_api_key=x"},
		{"a key after a semicolon", "/p?x=1;api_key=x", "/p?x=1;api_key=REDACTED"},
		{"a semicolon in the value", "/p?api_key=a;b&c=d", "/p?api_key=REDACTED&c=d"},
		{"a second question mark", "/p?x?api_key=y", "/p?x?api_key=REDACTED"},
		{"a key in the fragment", "/p#api_key=x", "/p#api_key=REDACTED"},
		{"a fragment after the key", "/p?api_key=x#f", "/p?api_key=REDACTED"},
		{"an equals sign in the value", "/p?api_key==x=y", "/p?api_key=REDACTED"},
		{"an absolute URI", "http://u@h/p?api_key=x", "http://u@h/p?api_key=REDACTED"},
		{"a bare query", "a=1&api_key=x", "a=1&api_key=REDACTED"},
		{"a bare pair", "api_key=x", "api_key=REDACTED"},
		{"a key in the path", "/Auth/Keys/{valid}", "/Auth/Keys/REDACTED"},
		{"a key in the path before another segment", "/Auth/Keys/{valid}/Delete", "/Auth/Keys/REDACTED/Delete"},
		{"a key in another parameter", "/p?next={unknown}&a=1", "/p?next=REDACTED&a=1"},
		{"a text shorter than a key", "/ak_0123", "/ak_0123"},
		{"an escaped key in the path", "/%61k%5f{k}/x", "/REDACTED/x"},
		{"a URI that is escaped within another one", "/p?next=%2Fq%3Fb%3D1%26api_key%3Dlegacy&a=1", "/p?next=%2Fq%3Fb%3D1%26api_key%3DREDACTED&a=1"},
		{"a URI that is escaped twice", "/p?next=%252Fq%253Fapi_key%253Dlegacy", "/p?next=%252Fq%253Fapi_key%253DREDACTED"},
		{"an escaped name and value", "/p?%61pi_key%3dlegacy&a=1", "/p?%61pi_key%3dREDACTED&a=1"},
		{"an escaped name without a value", "/p?#API%5fKEY=", "/p?#API%5fKEY=REDACTED"},
		{"an escaped separator does not end a value", "/p?api_key=a%26b&c=d", "/p?api_key=REDACTED&c=d"},
		{"bad escapes", "/p?a=%zz%2&b=%", "/p?a=%zz%2&b=%"},
		{"an escape of an escape, many times", "/p?a=%" + strings.Repeat("25", 1<<16) + "&api_key={valid}", "/p?a=%" + strings.Repeat("25", 1<<16) + "&api_key=REDACTED"},
		{"the prefix twice", "/ak_ak_0123456789012345678901234567890123456789", "/ak_REDACTED6789"},
	} {
		t.Run(test.name, func(t *testing.T) {
			uri := strings.ReplaceAll(s.fill(test.uri), "{k}", s.valid[len("ak_"):])
			assert.Equal(t, test.want, s.auth.RedactURI(uri))
		})
	}
}

// A client without a key may send a field of a megabyte. Redacting a text that is 64 times as long
// takes about 64 times as long, not 64 × 64 times.
func TestRedactionTakesLinearTime(t *testing.T) {
	const size, factor, tolerance = 1 << 11, 64, 16
	s := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Query("api_key"), apikey.Prefixed(apikey.Query("token"))}})
	redact := map[string]func(text string){
		"RedactURI": func(text string) { s.auth.RedactURI(text) },
		"Conceal, a field": func(text string) {
			get(s.auth.Conceal(http.NotFoundHandler()), "/", "X-Any: "+text)
		},
		"Conceal, the query": func(text string) {
			r := newRequest("/")
			r.URL.RawQuery, r.RequestURI = text, "/?"+text
			serve(s.auth.Conceal(http.NotFoundHandler()), r)
		},
	}
	for _, unit := range []string{
		",", " a", "=", ",=", "&", ";", "?", "/", "%", "%2C", "%252C", "api_key", "api_key=", "&api_key=", "/,api_key=", "?api_key=x,", ";token=x", "token=ak_&",
		"%26api_key%3D", "ak_", "REDACTED=",
	} {
		for name, f := range redact {
			took := func(times, n int) time.Duration {
				text := strings.Repeat(unit, n/len(unit)) + "=%41"
				begin := time.Now()
				for range times {
					f(text)
				}
				return time.Since(begin)
			}
			var many, one time.Duration
			for range 5 { // because other programs take time too
				many, one = took(factor, size), took(1, factor*size)
				if one < tolerance*many {
					break
				}
			}
			require.Less(t, one, tolerance*many, "%s, %q: %v for one text; %v for %d short ones", name, unit, one, many, factor)
		}
	}
}

func TestSourceFuncErrorContainsNoKey(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"malformed": apikey.ErrMalformed, "ambiguous": apikey.ErrAmbiguous, "an outage": io.ErrUnexpectedEOF} {
		var log bytes.Buffer
		var event apikey.Event
		s := newService(t, apikey.Options{
			Sources: []apikey.Source{apikey.SourceFunc("own", func(r *http.Request) (string, error) {
				return "", fmt.Errorf("cannot read %q: %w", r.Header.Get("X-Own"), outcome)
			})},
			Observe: func(_ context.Context, e apikey.Event) { event = e },
			Logger:  slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		get(s.handler, "/", s.fill("X-Own: <{valid}>"))
		require.ErrorIs(t, event.Err, outcome, name)
		require.Contains(t, event.Err.Error(), `cannot read "<REDACTED>": `, name)
		require.NotContains(t, dumpOf(event, apikey.Event{}), s.valid, name)
		require.Contains(t, log.String(), "REDACTED", name)
		require.NotContains(t, log.String(), s.valid, name)
	}
}

// A long query of an anonymous request costs little memory, however often a part of it is escaped and
// however many key parameters it seems to have.
func TestLongQueryCostsLittleMemory(t *testing.T) {
	s := newService(t, apikey.Options{})
	h := s.auth.Conceal(s.handler)
	for _, part := range []string{"%25", "%2525252525", "%61", " api_key=/", "%20api_key=/"} {
		query := strings.Repeat(part, 1<<20/len(part))
		r := httptest.NewRequest(http.MethodGet, "/p", nil)
		r.URL.RawQuery, r.RequestURI = query, "/p?"+query
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.Equal(t, 401, serve(h, r).Code, part)
		runtime.ReadMemStats(&after)
		times := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(query))
		assert.Less(t, times, 40.0, "a query of %q allocates %.0f times its length", part, times)
	}
}
