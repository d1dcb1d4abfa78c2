package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/internal/listing"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// measureDashboard measures what an administrator waits for: whole pages, as HTML, of a list with
// many keys. The login is the host's, since a session costs the same with any number of keys.
func measureDashboard(store *sqlstore.Store, f filling, n int) ([]figure, error) {
	issuer, err := apikey.NewIssuer(store, keyFormat)
	if err != nil {
		return nil, err
	}
	dashboard, err := admin.New(issuer, admin.Options{
		Authorize: func(*http.Request) (string, error) { return "administrator", nil },
	})
	if err != nil {
		return nil, err
	}
	var pages, filtered []float64
	for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		o, err := apikey.ListOptions{Sort: sort}.Validate()
		if err != nil {
			return nil, err
		}
		last := listing.Cursor(o, f.position(sort, len(f)-pageSize))
		for _, cursor := range []string{"", last} {
			took, err := measureShown(dashboard, url.Values{"sort": {sort}, "cursor": {cursor}}, "Backup job", n)
			if err != nil {
				return nil, err
			}
			pages = append(pages, took...)
		}
		for _, status := range []string{"", apikey.StatusActive, apikey.StatusExpired, apikey.StatusRevoked} {
			query := url.Values{"sort": {sort}, "status": {status}, "search": {"zzzz"}}
			took, err := measureShown(dashboard, query, "No key matches", n)
			if err != nil {
				return nil, err
			}
			filtered = append(filtered, took...)
			query.Del("search")
			if status == "" {
				continue
			}
			if took, err = measureShown(dashboard, query, "", n); err != nil {
				return nil, err
			}
			filtered = append(filtered, took...)
		}
	}
	return []figure{
		{"dashboard, first and last pages in each order, median / most, ms", millis(median(pages)) + " / " + millis(quantile(pages, 1))},
		{"dashboard, a step of each filter in each order, median / most, ms", millis(median(filtered)) + " / " + millis(quantile(filtered, 1))},
	}, nil
}

// measureShown asks for a page that must show something.
func measureShown(h http.Handler, query url.Values, want string, n int) ([]float64, error) {
	r := httptest.NewRequest("GET", "/?"+query.Encode(), nil)
	return timed(n, func(int) error {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			return fmt.Errorf("the dashboard answers %d without %q to %v", w.Code, want, query)
		}
		return nil
	})
}
