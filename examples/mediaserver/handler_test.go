package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAccessLogHasALineForEachRequestAndNoKey(t *testing.T) {
	log := captureLog(t)
	api, key := newTestAPI(t)
	for _, test := range []struct {
		request string
		status  int
		line    string
	}{
		{"GET /emby/auth/keys?a=1&ApiKey={K}", 200, `method=GET uri="/emby/auth/keys?a=1" status=200`},
		{"GET /nothing/{K}?api_key={K}", 404, `method=GET uri=/nothing/REDACTED status=404`},
		{"GET /emby/system/info", 401, `method=GET uri=/emby/system/info status=401`},
		{"DELETE /emby/emby/auth/keys/{K}?api_key={K}", 404, `method=DELETE uri=/emby/Auth/Keys/REDACTED status=404`},

		{"GET //System/Info?api_key={K}", 200, `method=GET uri=//System/Info status=200`},
		{"GET ///System///Info//?X-Emby-Token={K}", 200, `method=GET uri=///System///Info// status=200`},
		{"GET /emby//System/Info?api_key={K}", 200, `method=GET uri=/emby//System/Info status=200`},
		{"GET //emby/System/Info?api_key={K}", 200, `method=GET uri=//emby/System/Info status=200`},
		{"GET /./System/Info?api_key={K}", 200, `method=GET uri=/./System/Info status=200`},
		{"GET /emby/./x/../System/Info?ApiKey={K}", 200, `method=GET uri=/emby/./x/../System/Info status=200`},
		{"GET //System/Info/Public?api_key={K}", 200, `method=GET uri=//System/Info/Public status=200`},
		{"GET //nothing?api_key={K}", 307, `method=GET uri=//nothing status=307`},
		{"GET //nothing//x/?x=1&x-emby-token={K}", 307, `method=GET uri="//nothing//x/?x=1" status=307`},
		{"GET /admin?api_key={K}", 307, `method=GET uri=/admin status=307`},
		{"GET //admin/?api_key={K}", 404, `method=GET uri=//admin/ status=404`},
		{"OPTIONS //System/Info?api_key={K}", 405, `method=OPTIONS uri=//System/Info status=405`},

		{"DELETE /emby/auth/keys/{K}?api_key={K}", 204, `method=DELETE uri=/Auth/Keys/REDACTED status=204`},
	} {
		t.Run(test.request, func(t *testing.T) {
			log.Reset()
			method, target, _ := strings.Cut(strings.ReplaceAll(test.request, "{K}", key), " ")
			w := httptest.NewRecorder()
			api.ServeHTTP(w, httptest.NewRequest(method, target, nil))
			assert.Equal(t, test.status, w.Code, w.Body)
			assert.Equal(t, 1, strings.Count(log.String(), "msg=request"), log)
			assert.Contains(t, log.String(), test.line)
			for _, shown := range append([]string{log.String(), w.Body.String()}, headerLines(w.Header())...) {
				assert.NotContains(t, shown, key)
			}
		})
	}
}

func headerLines(h http.Header) (all []string) {
	for _, lines := range h {
		all = append(all, lines...)
	}
	return all
}

func TestOtherOriginsMayUseTheAPI(t *testing.T) {
	captureLog(t)
	api, key := newTestAPI(t)
	send := func(method, target string, fields ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, target, nil)
		r.Header.Set("Origin", "https://tv.example")
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w
	}
	for _, target := range []string{"/System/Info", "/emby/system/info", "//System/Info?api_key=" + key, "/Auth/Keys", "/Auth/Keys/x", "/System/Info/Public", "/nothing"} {
		for _, field := range []string{"x-emby-token", "x-mediabrowser-token", "authorization", "x-emby-authorization", "content-type"} {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
				w := send("OPTIONS", target, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", field)
				assert.Equal(t, http.StatusOK, w.Code, target)
				assert.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"), target)
				assert.Contains(t, strings.ToLower(w.Header().Get("Access-Control-Allow-Headers")), field, target)
				assert.Contains(t, w.Header().Get("Access-Control-Allow-Methods"), method, target)
				assert.Empty(t, w.Header().Values("Access-Control-Allow-Credentials"), target)
			}
		}
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"a response":       send("GET", "/System/Info", "X-Emby-Token", key),
		"a refusal":        send("GET", "/System/Info"),
		"an ambiguous key": send("GET", "/System/Info?api_key=x", "X-Emby-Token", key),
		"an unknown path":  send("GET", "/nothing", "X-Emby-Token", key),
	} {
		assert.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"), name)
		assert.Empty(t, w.Header().Values("Access-Control-Allow-Credentials"), name)
	}
	for _, target := range []string{"/admin/", "/emby/Admin/keys"} {
		w := send("OPTIONS", target, "Access-Control-Request-Method", "POST")
		assert.Empty(t, w.Header().Values("Access-Control-Allow-Origin"), "the dashboard is not for other origins")
	}
	assert.Equal(t, http.StatusUnauthorized, send("OPTIONS", "/System/Info").Code, "OPTIONS that is not a preflight needs a key")
}
