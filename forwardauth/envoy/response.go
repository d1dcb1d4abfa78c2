package envoy

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
)

// maxBody is the size limit of the body of a refusal, in bytes.
const maxBody = 64 << 10

// A recorder is a ResponseWriter that keeps the response of the handlers.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

// WriteHeader records the first status that is not informational.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// Write records up to maxBody bytes in total, and drops the rest.
func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body.Write(b[:min(len(b), maxBody-w.body.Len())])
	return len(b), nil
}

// refusal returns the answer that denies a request. Its status becomes 403 if it is a success, or if it is not
// in Envoy's enumeration.
func refusal(code int, header http.Header, body string) *authv3.CheckResponse {
	if _, known := typev3.StatusCode_name[int32(code)]; !known || code < 300 {
		code = http.StatusForbidden
	}
	denied := &authv3.DeniedHttpResponse{Status: &typev3.HttpStatus{Code: typev3.StatusCode(code)}, Body: strings.ToValidUTF8(body, "?")}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if name != "Content-Length" {
			denied.Headers = append(denied.Headers, overwrite(name, strings.Join(header[name], ", ")))
		}
	}
	reason := codes.PermissionDenied
	if code == http.StatusUnauthorized {
		reason = codes.Unauthenticated
	}
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: int32(reason)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: denied},
	}
}

// identity has the fields with the identity of the caller.
var identity = []string{forwardauth.IDField, forwardauth.NameField, forwardauth.OwnerField, forwardauth.ScopesField}

// permission returns the answer that permits a request. The answer sets the identity of the caller and
// removes the keys of auth.
func permission(r *http.Request, auth *apikey.Middleware, answer http.Header) *authv3.CheckResponse {
	ok := &authv3.OkHttpResponse{}
	for _, field := range identity {
		if value := answer.Get(field); value != "" {
			ok.Headers = append(ok.Headers, overwrite(field, value))
		} else {
			ok.HeadersToRemove = append(ok.HeadersToRemove, strings.ToLower(field))
		}
	}
	removeKeys(r, auth, ok)
	return &authv3.CheckResponse{
		Status:       &status.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: ok},
	}
}

// removeKeys adds to an answer the changes that remove the keys of auth from the request.
func removeKeys(r *http.Request, auth *apikey.Middleware, ok *authv3.OkHttpResponse) {
	_, query, _ := strings.Cut(r.RequestURI, "?")
	without := r.Clone(r.Context())
	without.URL.RawQuery = query
	auth.RemoveKeys(without)

	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		lines, remaining := r.Header[name], without.Header[name]
		switch {
		case slices.Equal(lines, remaining) || slices.Contains(identity, name):
		case len(remaining) == 0:
			ok.HeadersToRemove = append(ok.HeadersToRemove, strings.ToLower(name))
		default:
			ok.Headers = append(ok.Headers, overwrite(name, strings.Join(remaining, separator(name))))
		}
	}

	kept := map[string]int{}
	for pair := range strings.SplitSeq(without.URL.RawQuery, "&") {
		kept[pair]++
	}
	for pair := range strings.SplitSeq(query, "&") {
		if kept[pair]--; kept[pair] >= 0 {
			continue
		}
		name, _, _ := strings.Cut(pair, "=")
		ok.QueryParametersToRemove = append(ok.QueryParametersToRemove, name)
		// Some versions of Envoy compare the decoded name.
		if decoded, err := url.QueryUnescape(name); err == nil && decoded != name && utf8.ValidString(decoded) {
			ok.QueryParametersToRemove = append(ok.QueryParametersToRemove, decoded)
		}
	}
}

// separator returns the text between the joined lines of a field, which differs for Cookie (RFC 9113 section 8.2.3).
func separator(field string) string {
	if field == "Cookie" {
		return "; "
	}
	return ", "
}

// overwrite returns the change that replaces all lines of a field. It sets the action, because Envoy would
// otherwise append to the client's own field. Protocol buffers cannot carry text that is not UTF-8.
func overwrite(name, value string) *corev3.HeaderValueOption {
	return &corev3.HeaderValueOption{
		Header:       &corev3.HeaderValue{Key: strings.ToLower(name), Value: lineBreaks.Replace(strings.ToValidUTF8(value, "?"))},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

var lineBreaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")
