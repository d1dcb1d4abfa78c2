package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A tiny run fills every table.
func TestStoreTables(t *testing.T) {
	var out bytes.Buffer
	o := options{pace: calm(2, 100*time.Microsecond), stores: tinyScale(), match: regexp.MustCompile("")}
	if err := all(&out, o); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nSQLite: 3.", "| over a cached sqlstore (SQLite) |", "| Revoke, one writer, a second |",
		"| SQLite | poll each 50ms | 5 |", "## 2000 keys in a database", "| list by expires, first / last page, ms |",
		"| bytes a key in the cache, with 2000 |",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	for _, not := range []string{"Memory", "PostgreSQL", "bare"} {
		if strings.Contains(out.String(), not) {
			t.Errorf("%q in\n%s", not, out.String())
		}
	}
}

// The part that was chosen is measured, and no other.
func TestPartsOfTheStoreAreChosen(t *testing.T) {
	var out bytes.Buffer
	o := options{pace: calm(2, 100*time.Microsecond), stores: tinyScale(), match: regexp.MustCompile("^Stores/propagation$")}
	if err := all(&out, o); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n## "); n != 1 || !strings.Contains(out.String(), "first refusal") {
		t.Errorf("%d tables in\n%s", n, out.String())
	}
	o.match = regexp.MustCompile("^Stores/nothing")
	if err := all(&out, o); err == nil {
		t.Error("nothing was measured, and that was no error")
	}
}

// An engine without its server is named, and left out.
func TestEnginesWithoutAServerAreSkipped(t *testing.T) {
	for _, e := range engines[1:] {
		t.Setenv(e.env, "")
	}
	var out bytes.Buffer
	there, err := reportEngines(&out, engines)
	if err != nil || len(there) != 1 || there[0].name != "SQLite" {
		t.Fatalf("got %v, %v, want SQLite alone", there, err)
	}
	for _, want := range []string{"PostgreSQL: skipped, APIKEY_TEST_POSTGRES names no server", "MySQL: skipped, APIKEY_TEST_MYSQL names no server"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in %q", want, out.String())
		}
	}
}

// A position is right if the page after it is what is left, which is checked against every
// key: a wrong one would measure another page.
func TestPositionsBeginTheLastPage(t *testing.T) {
	err := engines[0].with(func(d *database) error {
		f := newFilling(2 * few)
		p, err := d.filled(f, 0)
		if err != nil {
			return err
		}
		for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
			if _, err := measurePage(p.store, f, apikey.ListOptions{Sort: sort}, true, 1); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
