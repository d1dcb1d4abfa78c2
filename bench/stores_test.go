package bench

import (
	"cmp"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/internal/testdb"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/sqlstore"
)

var million = flag.Bool("million", false, "also measure stores with a million keys, which take minutes to fill")

// sizes adds a million to the numbers of keys if -million is set.
func sizes(usual ...int) []int {
	if *million {
		return append(usual, 1_000_000)
	}
	return usual
}

// BenchmarkStore measures a sqlstore without a cache.
func BenchmarkStore(b *testing.B) {
	for _, n := range sizes(1_000) {
		onEach(b, fmt.Sprintf("keys=%d", n), func(b *testing.B, e testdb.Engine) {
			d := newDataset(n)
			p := openFilled(b, e, d)
			b.Run("lookup", func(b *testing.B) { benchmarkLookup(b, p.store, d) })
			for _, s := range steps(b, p.store) {
				b.Run("list/"+s.name, func(b *testing.B) {
					latencies(b, s.goal, func() error { _, err := p.store.List(b.Context(), s.o); return err })
				})
			}
			b.Run("dashboard", func(b *testing.B) { benchmarkDashboard(b, p.store) })
			b.Run("on disk", func(b *testing.B) { report(b, bytesOnDisk(b, e, p)/float64(n), "B/key") })
			b.Run("create", func(b *testing.B) { benchmarkCreate(b, p.store) })
		})
	}
	onEach(b, "keys=10000", func(b *testing.B, e testdb.Engine) {
		d := newDataset(10_000)
		p := openFilled(b, e, d)
		b.Run("write 10000 last uses", func(b *testing.B) { benchmarkFlush(b, p.store, d) })
		b.Run("revoke 10000 keys of an owner", func(b *testing.B) { benchmarkRevokeAll(b, e, p, len(d)) })
	})
}

// onEach runs a benchmark on each engine. It skips engines without a server.
func onEach(b *testing.B, name string, f func(*testing.B, testdb.Engine)) {
	for _, e := range testdb.Engines {
		b.Run(name+"/engine="+e.Name, func(b *testing.B) {
			e.Require(b)
			f(b, e)
		})
	}
}

// benchmarkLookup measures lookups. Their order differs from the order of the keys in the table.
func benchmarkLookup(b *testing.B, store *sqlstore.Store, d dataset) {
	i := 0
	latencies(b, 0, func() error {
		i = (i + 7919) % len(d)
		_, err := store.Lookup(b.Context(), d[i])
		return err
	})
}

// A step is one call of List.
type step struct {
	name string
	goal time.Duration
	o    apikey.ListOptions
}

// steps returns the first and last page and each filter, in each order.
func steps(tb testing.TB, store *sqlstore.Store) (all []step) {
	const goal = 50 * time.Millisecond
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		all = append(all,
			step{string(sort) + "/first page", goal, apikey.ListOptions{Sort: sort}},
			step{string(sort) + "/last page", goal, apikey.ListOptions{Sort: sort, Cursor: lastCursor(tb, store, sort)}},
			step{string(sort) + "/search without a hit", goal, apikey.ListOptions{Sort: sort, Search: "zzzz"}},
			step{string(sort) + "/one owner", goal / 10, apikey.ListOptions{Sort: sort, Owner: "owner7"}},
			step{string(sort) + "/owner without keys", goal / 10, apikey.ListOptions{Sort: sort, Owner: "unknown"}})
		all = append(all,
			step{string(sort) + "/unknown scope", goal, apikey.ListOptions{Sort: sort, Scope: "unknown"}},
			step{string(sort) + "/none expire before", goal, apikey.ListOptions{Sort: sort, ExpiresBefore: createdAt}},
			step{string(sort) + "/none unused since", goal, apikey.ListOptions{Sort: sort, UnusedSince: createdAt.Add(-time.Hour)}})
		for _, status := range []apikey.Status{apikey.StatusActive, apikey.StatusSuspended, apikey.StatusExpired, apikey.StatusRevoked} {
			all = append(all, step{string(sort) + "/" + string(status), goal, apikey.ListOptions{Sort: sort, Status: status}})
		}
	}
	return all
}

// lastCursor returns the cursor of the last page with the maximum limit.
func lastCursor(tb testing.TB, store *sqlstore.Store, sort apikey.Sort) (cursor string) {
	for {
		page, err := store.List(tb.Context(), apikey.ListOptions{Sort: sort, Cursor: cursor, Limit: 500})
		require.NoError(tb, err)
		if page.Next == "" {
			return cursor
		}
		cursor = page.Next
	}
}

// benchmarkDashboard requests the page of the dashboard for each step in turn. The service authorizes the requests,
// because the cost of a session does not depend on the number of keys.
func benchmarkDashboard(b *testing.B, store *sqlstore.Store) {
	desk := must(manage.New(must(apikey.NewIssuer(store, apikey.IssuerOptions{Format: plain}))))
	dashboard := must(admin.New(desk, admin.Options{
		Authorize: func(*http.Request) (manage.Access, error) {
			return manage.Access{Actor: "administrator", AllOwners: true, AnyScope: true}, nil
		},
	}))
	var requests []*http.Request
	for _, s := range steps(b, store) {
		query := url.Values{"sort": {string(s.o.Sort)}, "status": {cmp.Or(string(s.o.Status), "all")}, "cursor": {s.o.Cursor}, "owner": {s.o.Owner}, "search": {s.o.Search}}
		requests = append(requests, httptest.NewRequest("GET", "/?"+query.Encode(), nil))
	}
	i := 0
	latencies(b, 0, func() error {
		w := httptest.NewRecorder()
		dashboard.ServeHTTP(w, requests[i%len(requests)])
		i++
		if w.Code != http.StatusOK {
			return fmt.Errorf("status %d for %s", w.Code, requests[i-1].URL)
		}
		return nil
	})
}

// benchmarkCreate issues keys one after another.
func benchmarkCreate(b *testing.B, store *sqlstore.Store) {
	issuer := must(apikey.NewIssuer(store, apikey.IssuerOptions{Format: plain}))
	for b.Loop() {
		_, _, err := issuer.Issue(b.Context(), apikey.NewKey{Name: "Restore job", Scopes: []string{"library:read"}})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}

// benchmarkFlush measures writing a new last use of each key.
func benchmarkFlush(b *testing.B, store *sqlstore.Store, d dataset) {
	at := time.Now()
	touch := func() {
		at = at.Add(time.Minute)
		for _, digest := range d {
			store.Touch(digest, apikey.Use{At: at})
		}
	}
	touch()
	require.NoError(b, store.Flush(b.Context())) // inserts the rows that later calls update
	for b.Loop() {
		b.StopTimer()
		touch()
		b.StartTimer()
		require.NoError(b, store.Flush(b.Context()))
	}
	require.Zero(b, store.Dropped())
}

// benchmarkRevokeAll measures revoking n keys of an owner, a thousand in each transaction. It settles
// the tables before each call, because the earlier versions of the rows, which only this benchmark
// makes, would slow the call down.
func benchmarkRevokeAll(b *testing.B, e testdb.Engine, p *process, n int) {
	for b.Loop() {
		b.StopTimer()
		_, err := p.db.Exec("UPDATE apikey_keys SET owner = 'grace', dead = 0, revoked_at = 0")
		require.NoError(b, err)
		e.Settle(b, p.db)
		b.StartTimer()
		revoked, err := p.store.RevokeAll(b.Context(), "grace")
		require.NoError(b, err)
		require.Equal(b, n, revoked)
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "keys/s")
}

// bytesOnDisk returns the size of the tables with their indexes and the audit trail.
func bytesOnDisk(b *testing.B, e testdb.Engine, p *process) (n float64) {
	query := map[sqlstore.Dialect]string{
		sqlstore.SQLite: "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
		sqlstore.Postgres: "SELECT sum(pg_total_relation_size(oid)) FROM pg_class " +
			"WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
		sqlstore.MySQL: "SELECT SUM(data_length + index_length) FROM information_schema.tables WHERE table_schema = DATABASE()",
	}[e.Dialect]
	e.Settle(b, p.db)
	require.NoError(b, p.db.QueryRow(query).Scan(&n))
	return n
}

// latencies measures each call and reports the median, the 95th percentile and the maximum. goal is the maximum of the
// median, or 0.
func latencies(b *testing.B, goal time.Duration, call func() error) {
	var elapsed []time.Duration
	for b.Loop() {
		begin := time.Now()
		err := call()
		elapsed = append(elapsed, time.Since(begin))
		require.NoError(b, err)
	}
	reportLatencies(b, goal, elapsed)
}

func reportLatencies(b *testing.B, goal time.Duration, elapsed []time.Duration) {
	slices.Sort(elapsed)
	quantile := func(part float64) time.Duration { return elapsed[int(part*float64(len(elapsed)-1)+0.5)] }
	b.ReportMetric(float64(quantile(0.5)), "p50-ns")
	b.ReportMetric(float64(quantile(0.95)), "p95-ns")
	b.ReportMetric(float64(quantile(1)), "max-ns")
	if goal == 0 {
		return
	}
	b.ReportMetric(float64(goal), "goal-ns")
	if quantile(0.5) > goal {
		b.Logf("goal missed: the median is %v, want at most %v", quantile(0.5), goal)
	}
}
