package apikey_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// FuzzExtract checks that a request is accepted if and only if it carries exactly one key, perhaps
// several times, and the store knows it. It also checks that a request costs at most one lookup.
func FuzzExtract(f *testing.F) {
	s := newService(f, apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-API-Key"), apikey.Header("X-Emby-Token"), apikey.Query("api_key"), apikey.Query("ApiKey"), apikey.Bearer(),
	}})
	for _, seed := range [][4]string{
		{"{valid}", "", "", ""},
		{"", "{valid}", "a=1&api_key={valid}", "Bearer {valid}"},
		{"{other}", "", "x=1;api_key={valid}", "Basic {valid}"},
		{"", "", "api_key=%zz&APIKEY={valid}", "bearer  {valid} "},
		{" ", "\t", "api%5Fkey={valid}&&=&api_key", "Bearer"},
		{"{revoked}", "{unknown}", "%61pi_key=%20", "Bearer {valid} {valid}"},
		{"{valid}\n{other}", "", "ApiKey={valid}", "Bearer {valid}\nBasic x, bearer {other}"},
		{"{valid}\n", "", "", "Bearer\t{valid}\nBasic bearer"},
	} {
		f.Add(s.fill(seed[0]), s.fill(seed[1]), s.fill(seed[2]), s.fill(seed[3]))
	}
	f.Add("{valid}", "{valid}", "api_key={valid}", "Bearer {valid}")
	f.Fuzz(func(t *testing.T, first, second, query, authorization string) {
		// Keys are random, so the corpus contains their names in place of them.
		first, second, query, authorization = s.fill(first), s.fill(second), s.fill(query), s.fill(authorization)
		r := httptest.NewRequest(http.MethodGet, "/p", nil)
		r.URL.RawQuery = query
		r.RequestURI = "/p?" + query
		r.Header["X-Api-Key"] = strings.Split(first, "\n")
		r.Header["X-Emby-Token"] = []string{second}
		r.Header["Authorization"] = strings.Split(authorization, "\n")

		keys, readable := keysIn(first, second, query, authorization)
		want := readable && len(keys) == 1 && (keys[s.valid] || keys[s.other])

		lookups := s.store.lookups.Load()
		var seen *http.Request
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })
		w := serve(s.auth.Handler(handler), r)
		lookups = s.store.lookups.Load() - lookups

		if (w.Code == 200) != want || (seen != nil) != want {
			t.Fatalf("status %d, want accepted %t; keys %v, readable %t", w.Code, want, keys, readable)
		}
		if lookups > 1 || want && lookups != 1 || len(keys) != 1 && lookups != 0 {
			t.Fatalf("%d lookups for %d keys", lookups, len(keys))
		}
		var concealedSeen *http.Request
		conceal := s.auth.Conceal(s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { concealedSeen = r })))
		require.Equal(t, w.Code, serve(conceal, r).Code, "status behind Conceal")
		if concealedSeen != nil && (strings.Contains(concealedSeen.RequestURI, s.valid) || strings.Contains(concealedSeen.URL.RawQuery, s.other)) {
			t.Fatalf("behind Conceal the handler sees %q", concealedSeen.RequestURI)
		}
		if seen == nil {
			return
		}
		left, _ := keysInQuery(seen.URL.RawQuery)
		if len(left) != 0 || seen.RequestURI != "/p" && seen.RequestURI != "/p?"+seen.URL.RawQuery {
			t.Fatalf("the handler sees %q and %q", seen.URL.RawQuery, seen.RequestURI)
		}
		others, _ := url.ParseQuery(query)
		for name := range others {
			if isKeyParameter(name) {
				delete(others, name)
			}
		}
		got, _ := url.ParseQuery(seen.URL.RawQuery)
		require.Equal(t, others.Encode(), got.Encode(), "other parameters")
	})
}

// keysIn returns the keys of a request by means of net/http and net/url. readable is false if net/url
// drops a pair with a key parameter.
func keysIn(first, second, query, authorization string) (keys map[string]bool, readable bool) {
	keys, readable = keysInQuery(query)
	for _, value := range append(strings.Split(first, "\n"), second) {
		keys[strings.Trim(value, " \t")] = true
	}
	for line := range strings.SplitSeq(authorization, "\n") {
		line = strings.Trim(line, " \t")
		if scheme, key, ok := strings.Cut(line, " "); ok && isFold(scheme, "bearer") {
			keys[strings.Trim(key, " \t")] = true
		} else if hiddenBearer.MatchString(line) {
			keys[line] = true // a malformed key
		}
	}
	delete(keys, "")
	return keys, readable
}

var hiddenBearer = regexp.MustCompile("(?i)(^|[ \t,])bearer[ \t]")

func keysInQuery(query string) (keys map[string]bool, readable bool) {
	keys, readable = map[string]bool{}, strings.Count(query, "&") < 10000
	for pair := range strings.SplitSeq(query, "&") {
		values, err := url.ParseQuery(pair)
		for name := range values {
			if isKeyParameter(name) && strings.Trim(values.Get(name), " \t") != "" {
				keys[values.Get(name)] = true
			}
		}
		if err != nil {
			for part := range strings.SplitSeq(pair, ";") {
				name, _, _ := strings.Cut(part, "=")
				if name, err := url.QueryUnescape(name); err == nil && isKeyParameter(name) {
					readable = false
				}
			}
		}
	}
	return keys, readable
}

func isKeyParameter(name string) bool { return isFold(name, "api_key") || isFold(name, "apikey") }

func isFold(s, lower string) bool { return len(s) == len(lower) && strings.EqualFold(s, lower) }

// FuzzFormat compares Formats with the same rules written by means of the standard library.
func FuzzFormat(f *testing.F) {
	secret := strings.Repeat("p", 40)
	peppers := []apikey.Secret{apikey.NewSecret(secret)}
	plain := newFormat(f, "ak", apikey.FormatOptions{})
	peppered := newFormat(f, "ak", apikey.FormatOptions{Peppers: peppers})
	imported := newFormat(f, "ak", apikey.FormatOptions{Peppers: peppers, AllowImported: true})
	for _, seed := range []string{"", "ak_", "ak_000000000000000000000000000000000000", "0123456789abcdef", "\x00\xff"} {
		f.Add(seed)
	}
	// The fuzzer would not find valid keys by chance.
	for range 3 {
		f.Add(issueIn(f, plain))
		f.Add(issueIn(f, peppered))
	}
	shape := regexp.MustCompile(`\Aak_[0-9A-Za-z]{36}\z`)
	importedShape := regexp.MustCompile(`\A[!-~]{16,}\z`)
	mac := func(text string) (d apikey.Digest) {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte(text))
		copy(d[:], h.Sum(nil))
		return d
	}
	f.Fuzz(func(t *testing.T, key string) {
		sum := apikey.Digest(sha256.Sum256([]byte(key)))
		var wantPlain, wantPeppered, wantImported apikey.Digest
		if shape.MatchString(key) {
			body, check := key[:33], key[33:]
			if base62(uint64(crc32.ChecksumIEEE([]byte(body)))) == check {
				wantPlain = sum
			}
			d := mac(body)
			var n uint64
			for _, b := range d[:8] {
				n = n<<8 | uint64(b)
			}
			if base62(n) == check {
				wantPeppered, wantImported = d, d
			}
		} else if len(key) <= 1024 && importedShape.MatchString(key) && !strings.HasPrefix(key, "ak_") {
			wantImported = mac("sha256:" + string(sum[:]))
		}
		for _, test := range []struct {
			format *apikey.Format
			want   apikey.Digest
		}{{plain, wantPlain}, {peppered, wantPeppered}, {imported, wantImported}} {
			got, err := test.format.Digest(apikey.NewSecret(key))
			if got != test.want || (err == nil) != (test.want != apikey.Digest{}) {
				t.Fatalf("%v: digest %x, error %v; want %x", test.format, got, err, test.want)
			}
		}
	})
}

// FuzzRedactURI checks that a redacted URI contains no value that net/url, or a parser that splits at
// semicolons, reads as a key.
func FuzzRedactURI(f *testing.F) {
	s := newService(f, apikey.Options{})
	const canary = "CANARY"
	for _, seed := range []string{
		"/p?api_key={C}", "/p?a=1;API%5fKEY={C}&b", "/{valid}/x", "?api_key={C}#{valid}", "a?b?api_key={C}&api_key={C}", "/p?%zz&api_key=a={C}",
		"/p?next=%2Fq%3Fapi_key%3D{valid}", "/p?next=%252Fq%253F{valid}%2526", "/%61k%5F{valid}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, template string) {
		uri := s.fill(strings.ReplaceAll(template, "{C}", canary))
		redacted := s.auth.RedactURI(uri)
		for decoded, n := redacted, 0; n <= 4; n++ {
			if strings.Contains(decoded, s.valid) {
				t.Fatalf("%q contains a key", redacted)
			}
			decoded = anyEscape.ReplaceAllStringFunc(decoded, func(escape string) string {
				c, _ := url.PathUnescape(escape)
				return c
			})
		}
		require.Equal(t, redacted, s.auth.RedactURI(redacted), "redacted again")
		_, query, _ := strings.Cut(redacted, "?")
		for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
			name, value, _ := strings.Cut(pair, "=")
			if name, err := url.QueryUnescape(name); err == nil && isFold(name, "api_key") && value != "" && value != "REDACTED" {
				t.Fatalf("%q contains the value %q", redacted, value)
			}
		}
		if !strings.Contains(redacted, "REDACTED") && redacted != uri {
			t.Fatalf("%q becomes %q without REDACTED", uri, redacted)
		}
	})
}

var anyEscape = regexp.MustCompile("%[0-9A-Fa-f]{2}")

// FuzzValidate checks that a store can keep the keys that Validate accepts.
func FuzzValidate(f *testing.F) {
	f.Add("id", "name", "scope", "key", "value")
	f.Add("", "\u202e", "a b", "", "\x00")
	f.Fuzz(func(t *testing.T, id, name, scope, metaName, metaValue string) {
		key := apikey.Key{ID: id, Name: name, Scopes: []string{scope}, Metadata: map[string]string{metaName: metaValue}}
		if err := key.Validate(); err != nil {
			require.LessOrEqual(t, len(err.Error()), 400, "bytes of the error")
			return
		}
		for _, text := range []string{id, name, scope, metaName, metaValue} {
			if strings.ContainsAny(text, "\x00\r\n\u2028\u202e\u200b\u3164") || strings.ToValidUTF8(text, "") != text {
				t.Fatalf("%q is valid", text)
			}
		}
		if strings.ContainsAny(scope, " \"\\") || scope == "" || strings.TrimSpace(name) == "" || len(id) > 64 {
			t.Fatalf("%+v is valid", key)
		}
	})
}
