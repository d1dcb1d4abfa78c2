package bench

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/bench/interleave"
	"github.com/latchkey-dev/apikey/bench/population"
)

// A refusalCase is a request that the Middleware refuses with the error want.
type refusalCase struct {
	name    string
	goal    goal
	format  *apikey.Format
	request func(unknown string) *http.Request
	want    error
}

var refusalCases = []refusalCase{
	{"missing key", goal{0.5, 0}, plain, func(string) *http.Request { return interleave.Request("/library") }, apikey.ErrMissing},
	{"invalid character", goal{0.5, 0}, plain, func(k string) *http.Request { return inHeader(k[:20] + "-" + k[21:]) }, apikey.ErrMalformed},
	{"wrong check characters", goal{0.5, 0}, plain, withWrongCheck, apikey.ErrMalformed},
	{"wrong check characters, one pepper", goal{}, peppered, withWrongCheck, apikey.ErrMalformed},
	{"unknown key", goal{}, plain, inHeader, apikey.ErrNotFound},
}

// withWrongCheck returns a request with a key whose last check character is wrong.
func withWrongCheck(key string) *http.Request {
	last := "0"
	if key[len(key)-1:] == last {
		last = "1"
	}
	return inHeader(key[:len(key)-1] + last)
}

func (c refusalCase) prepare(tb testing.TB) (prepared, *http.Request) {
	return requestCase{format: c.format}.prepare(tb, 1_000), c.request(population.Unknown(tb, c.format))
}

// BenchmarkRefusal measures the decision to refuse, without the response.
func BenchmarkRefusal(b *testing.B) {
	for _, c := range refusalCases {
		p, r := c.prepare(b)
		b.Run(c.name, func(b *testing.B) {
			w := httptest.NewRecorder()
			compare(b, c.goal, interleave.Func(func() { p.middleware.Authenticate(w, r) }), newBaseline(p.Population, p.Keys[:1]))
		})
	}
}

func TestRefusalCases(t *testing.T) {
	for _, c := range refusalCases {
		t.Run(c.name, func(t *testing.T) {
			p, r := c.prepare(t)
			_, err := p.middleware.Authenticate(httptest.NewRecorder(), r)
			require.ErrorIs(t, err, c.want)
		})
	}
}
