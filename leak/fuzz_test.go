package leak_test

import (
	"context"
	"crypto/elliptic"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

// FuzzReports sends any body with a valid signature. The response is always JSON with one of three statuses. It
// is 200 for a body that package encoding/json reads as reports.
func FuzzReports(f *testing.F) {
	gh := newSigner(f, "1", elliptic.P256())
	s := newService(f, apikey.FormatOptions{AllowImported: true})
	h := s.endpoint(newFakeGitHub(f, gh))
	token, _ := s.issue("x")
	for _, seed := range []string{`[]`, `[{"token":"` + token + `","type":"t","url":"https://h/?api_key=` + token + `","source":"commit"}]`,
		`[{"token":"legacy/key+0123456789"}]`, `[1,null,"x"]`, `[{"token":"\ud800"}]`, `{"a":`, "[{\"token\":\"a\xff\"}]", `[[[[[[]]]]]]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := serve(h, gh.request(t, string(body)))
		assert.Contains(t, []int{200, 400, 413}, w.Code)
		assert.True(t, json.Valid(w.Body.Bytes()), w.Body)
		assert.NotContains(t, w.Body.String(), token)
		var list []struct {
			Token, Type, URL, Source string
		}
		if json.Unmarshal(body, &list) == nil && list != nil {
			assert.Equal(t, 200, w.Code)
		}
	})
}

// FuzzForwarded sends any X-Forwarded-Proto and Forwarded from a proxy. A request passes only if a value says
// https or wss, and never if one says http.
func FuzzForwarded(f *testing.F) {
	g := newGuarded(f)
	f.Cleanup(func() { g.Close(context.Background()) })
	for _, seed := range [][2]string{{"https", ""}, {"https,http", ""}, {"", `for="a,b;proto=http";Proto="https"`}, {"wss", "proto=https"}, {"", `proto="https`}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, proto, forwarded string) {
		var lines []string
		if proto != "" {
			lines = append(lines, "X-Forwarded-Proto: "+proto)
		}
		if forwarded != "" {
			lines = append(lines, "Forwarded: "+forwarded)
		}
		if g.send(proxy, "/", lines...).Code != http.StatusNoContent {
			return
		}
		for _, value := range []string{proto, forwarded} {
			lower := strings.ToLower(value)
			assert.True(t, value == "" || strings.Contains(lower, "https") || strings.Contains(lower, "wss"), value)
		}
		for scheme := range strings.SplitSeq(proto, ",") {
			assert.NotEqual(t, "http", strings.Trim(strings.ToLower(scheme), " \t"))
		}
	})
}
