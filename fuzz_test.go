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

	"github.com/latchkey-dev/apikey"
)

// FuzzExtract holds a Middleware against the rule: a request is accepted exactly when it
// carries one key, perhaps several times, that the store knows, and the store is asked
// once at most.
func FuzzExtract(f *testing.F) {
	s := newService(f, apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-API-Key"), apikey.Header("X-Emby-Token"), apikey.Query("api_key"), apikey.Query("ApiKey"), apikey.Bearer(),
	}})
	for _, seed := range [][4]string{
		{"{K}", "", "", ""},
		{"", "{K}", "a=1&api_key={K}", "Bearer {K}"},
		{"{O}", "", "x=1;api_key={K}", "Basic {K}"},
		{"", "", "api_key=%zz&APIKEY={K}", "bearer  {K} "},
		{" ", "\t", "api%5Fkey={K}&&=&api_key", "Bearer"},
		{"{R}", "{W}", "%61pi_key=%20", "Bearer {K} {K}"},
		{"{K}\n{O}", "", "ApiKey={K}", "Bearer {K}\nBasic x, bearer {O}"},
		{"{K}\n", "", "", "Bearer\t{K}\nBasic bearer"},
	} {
		f.Add(s.fill(seed[0]), s.fill(seed[1]), s.fill(seed[2]), s.fill(seed[3]))
	}
	f.Add("{K}", "{K}", "api_key={K}", "Bearer {K}")
	f.Fuzz(func(t *testing.T, first, second, query, authorization string) {
		// Keys are random, so that what the fuzzer keeps names them by their letter.
		first, second, query, authorization = s.fill(first), s.fill(second), s.fill(query), s.fill(authorization)
		r := httptest.NewRequest(http.MethodGet, "/p", nil)
		r.URL.RawQuery = query
		r.RequestURI = "/p?" + query
		r.Header["X-Api-Key"] = strings.Split(first, "\n")
		r.Header["X-Emby-Token"] = []string{second}
		r.Header["Authorization"] = strings.Split(authorization, "\n")

		keys, readable := keysIn(first, second, query, authorization)
		want := readable && len(keys) == 1 && (keys[s.good] || keys[s.other])

		lookups := s.store.lookups.Load()
		var seen *http.Request
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })
		w := serve(s.auth.Handler(handler), r)
		asked := s.store.lookups.Load() - lookups

		if (w.Code == 200) != want || (seen != nil) != want {
			t.Fatalf("status %d, want it accepted: %t; keys %v, readable %t", w.Code, want, keys, readable)
		}
		if asked > 1 || want && asked != 1 || len(keys) != 1 && asked != 0 {
			t.Fatalf("%d lookups for %d keys", asked, len(keys))
		}
		concealed := serve(s.auth.Conceal(s.auth.Handler(handler)), r)
		if concealed.Code != w.Code {
			t.Fatalf("status %d, behind Conceal %d", w.Code, concealed.Code)
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
			if isOurs(name) {
				delete(others, name)
			}
		}
		if got, _ := url.ParseQuery(seen.URL.RawQuery); got.Encode() != others.Encode() {
			t.Fatalf("other parameters: %q, want %q", got.Encode(), others.Encode())
		}
	})
}

// keysIn is the rule of extraction, written by net/http and net/url. readable is false
// where net/url drops a pair with one of our parameters.
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
			keys[line] = true // which no key is
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
			if isOurs(name) && strings.Trim(values.Get(name), " \t") != "" {
				keys[values.Get(name)] = true
			}
		}
		if err != nil {
			for part := range strings.SplitSeq(pair, ";") {
				name, _, _ := strings.Cut(part, "=")
				if name, err := url.QueryUnescape(name); err == nil && isOurs(name) {
					readable = false
				}
			}
		}
	}
	return keys, readable
}

func isOurs(name string) bool { return isFold(name, "api_key") || isFold(name, "apikey") }

func isFold(s, lower string) bool { return len(s) == len(lower) && strings.EqualFold(s, lower) }

// FuzzFormat holds Formats against the rule, written by the standard library.
func FuzzFormat(f *testing.F) {
	secret := strings.Repeat("p", 40)
	peppers := []apikey.Secret{apikey.NewSecret(secret)}
	plain := newFormat(f, "ak", apikey.FormatOptions{})
	peppered := newFormat(f, "ak", apikey.FormatOptions{Peppers: peppers})
	foreign := newFormat(f, "ak", apikey.FormatOptions{Peppers: peppers, AllowForeign: true})
	for _, seed := range []string{"", "ak_", "ak_000000000000000000000000000000000000", "0123456789abcdef", "\x00\xff"} {
		f.Add(seed)
	}
	// So that the fuzzer has something to change: what it finds is not made by chance.
	for range 3 {
		f.Add(issueIn(f, plain))
		f.Add(issueIn(f, peppered))
	}
	shape := regexp.MustCompile(`\Aak_[0-9A-Za-z]{36}\z`)
	foreignShape := regexp.MustCompile(`\A[!-~]{16,256}\z`)
	mac := func(text string) (d apikey.Digest) {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte(text))
		copy(d[:], h.Sum(nil))
		return d
	}
	f.Fuzz(func(t *testing.T, key string) {
		sum := apikey.Digest(sha256.Sum256([]byte(key)))
		var wantPlain, wantPeppered, wantForeign apikey.Digest
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
				wantPeppered, wantForeign = d, d
			}
		} else if foreignShape.MatchString(key) && !strings.HasPrefix(key, "ak_") {
			wantForeign = mac("sha256:" + string(sum[:]))
		}
		for _, test := range []struct {
			format *apikey.Format
			want   apikey.Digest
		}{{plain, wantPlain}, {peppered, wantPeppered}, {foreign, wantForeign}} {
			got, err := test.format.Digest(apikey.NewSecret(key))
			if got != test.want || (err == nil) != (test.want != apikey.Digest{}) {
				t.Fatalf("%v: digest %x, error %v; want %x", test.format, got, err, test.want)
			}
		}
	})
}

// FuzzRedactURI holds RedactURI against the rule that what net/url, or a parser that
// splits at semicolons, takes for a key is not to be seen.
func FuzzRedactURI(f *testing.F) {
	s := newService(f, apikey.Options{})
	const canary = "CANARY"
	for _, seed := range []string{
		"/p?api_key={C}", "/p?a=1;API%5fKEY={C}&b", "/{K}/x", "?api_key={C}#{K}", "a?b?api_key={C}&api_key={C}", "/p?%zz&api_key=a={C}",
		"/p?next=%2Fq%3Fapi_key%3D{K}", "/p?next=%252Fq%253F{K}%2526", "/%61k%5F{K}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, template string) {
		uri := s.fill(strings.ReplaceAll(template, "{C}", canary))
		redacted := s.auth.RedactURI(uri)
		for decoded, n := redacted, 0; n <= 4; n++ {
			if strings.Contains(decoded, s.good) {
				t.Fatalf("%q shows a key", redacted)
			}
			decoded = anyEscape.ReplaceAllStringFunc(decoded, func(escape string) string {
				c, _ := url.PathUnescape(escape)
				return c
			})
		}
		if again := s.auth.RedactURI(redacted); again != redacted {
			t.Fatalf("%q becomes %q", redacted, again)
		}
		_, query, _ := strings.Cut(redacted, "?")
		for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
			name, value, _ := strings.Cut(pair, "=")
			if name, err := url.QueryUnescape(name); err == nil && isFold(name, "api_key") && value != "" && value != "REDACTED" {
				t.Fatalf("%q shows %q", redacted, value)
			}
		}
		if !strings.Contains(redacted, "REDACTED") && redacted != uri {
			t.Fatalf("%q becomes %q without a word", uri, redacted)
		}
	})
}

var anyEscape = regexp.MustCompile("%[0-9A-Fa-f]{2}")

// FuzzValidate holds that whatever Validate lets through survives a store's columns.
func FuzzValidate(f *testing.F) {
	f.Add("id", "name", "scope", "key", "value")
	f.Add("", "\u202e", "a b", "", "\x00")
	f.Fuzz(func(t *testing.T, id, name, scope, metaName, metaValue string) {
		key := apikey.Key{ID: id, Name: name, Scopes: []string{scope}, Metadata: map[string]string{metaName: metaValue}}
		if err := key.Validate(); err != nil {
			if len(err.Error()) > 400 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		for _, text := range []string{id, name, scope, metaName, metaValue} {
			if strings.ContainsAny(text, "\x00\r\n\u2028\u202e\u200b\u3164") || strings.ToValidUTF8(text, "") != text {
				t.Fatalf("%q was let through", text)
			}
		}
		if strings.ContainsAny(scope, " \"\\") || scope == "" || strings.TrimSpace(name) == "" || len(id) > 64 {
			t.Fatalf("%+v was let through", key)
		}
	})
}
