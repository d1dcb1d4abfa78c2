package limit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/memstore"
)

// A key carries its own limits. A report costs as much as 50 other requests.
func Example() {
	store := memstore.New()
	issuer, _ := apikey.NewIssuer(store, apikey.IssuerOptions{})
	auth, _ := apikey.New(store, apikey.Options{})
	limits, _ := limit.New(limit.Memory(), limit.Options{Remaining: true})

	mux := http.NewServeMux()
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })
	mux.Handle("GET /library", limits.Handler(hello))
	mux.Handle("GET /report", limits.Cost(50)(hello))
	handler := auth.Handler(mux)

	secret, _, _ := issuer.Issue(context.Background(), apikey.NewKey{Name: "Backup job", Limits: []apikey.Limit{
		{Name: "hourly", Requests: 60, Per: time.Hour},
	}})
	for _, path := range []string{"/library", "/report", "/report"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)
		r.Header.Set("X-API-Key", secret.Reveal())
		handler.ServeHTTP(w, r)
		fmt.Println(path, w.Code, w.Header().Get("RateLimit"))
	}
	// Output:
	// /library 200 "hourly";r=59;t=60
	// /report 200 "hourly";r=9;t=3060
	// /report 429 "hourly";r=9;t=2460
}

// Plans of customers: the keys of an owner share one balance, and the plan is in the metadata of a key.
func ExampleOptions() {
	plans := map[string][]apikey.Limit{
		"free": {{Name: "daily", Requests: 1_000, Calendar: "day"}},
		"pro":  {{Name: "daily", Requests: 100_000, Calendar: "day"}, {Name: "burst", Requests: 50, Per: time.Second}},
	}
	limits, err := limit.New(limit.Memory(), limit.Options{
		Of: func(k *apikey.Key) []apikey.Limit { return plans[k.Metadata["plan"]] },
		By: func(k *apikey.Key) string { return k.Owner },
	})
	if err != nil {
		panic(err)
	}
	key := &apikey.Key{ID: "1", Owner: "alice", Metadata: map[string]string{"plan": "free"}}
	fmt.Println(limits.Take(context.Background(), key, 1000))
	fmt.Println(limits.Take(context.Background(), key, 1))
	// Output:
	// <nil>
	// apikey: a limit of the key is used up: daily
}
