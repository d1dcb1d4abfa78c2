package admin

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a caller of the API notices of a hundred logins at once: they are sent together, again and
// again, and most of them turned away. The figures are the time of one request, by HTTP on the
// same machine and beside the clients that send the logins.
func BenchmarkAPI(b *testing.B) {
	s := newSite(b, Options{ClientAddr: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	secret, _ := s.issue("Backup job")
	b.Run("alone", func(b *testing.B) { measureAPI(b, s, secret) })
	b.Run("beside 100 logins", func(b *testing.B) {
		counted := countHashes(s.handler)
		form := url.Values{"token": {s.visitor().get("/admin/login").token()}, "password": {"a guess"}}.Encode()
		var all sync.WaitGroup
		var client atomic.Int64
		done := make(chan struct{})
		all.Go(func() {
			for {
				var wave sync.WaitGroup
				for range 100 {
					v := s.visitor()
					v.at(s.mux, "/admin/")
					v.header.Set("X-Client", fmt.Sprint(client.Add(1)))
					wave.Go(func() { v.do("POST", "/admin/login", form) })
				}
				wave.Wait()
				select {
				case <-done:
					return
				default:
				}
			}
		})
		began := time.Now()
		measureAPI(b, s, secret)
		b.ReportMetric(float64(counted.all.Load())/time.Since(began).Seconds(), "hashes/s")
		b.ReportMetric(float64(counted.most.Load()), "hashes-at-once")
		close(done)
		all.Wait()
	})
}

func measureAPI(b *testing.B, s *site, secret string) {
	client := s.server.Client()
	r, err := http.NewRequest("GET", s.server.URL+"/api", nil)
	require.NoError(b, err)
	r.Header.Set("X-API-Key", secret)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		response, err := client.Do(r)
		if err != nil || response.StatusCode != http.StatusOK {
			b.Fatal(response, err)
		}
		response.Body.Close()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	at := func(part float64) float64 { return float64(took[int(part*float64(len(took)-1))].Microseconds()) }
	b.ReportMetric(at(.5), "p50-µs")
	b.ReportMetric(at(.99), "p99-µs")
}
