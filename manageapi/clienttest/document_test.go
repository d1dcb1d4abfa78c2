package clienttest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A node is an object of a JSON document.
type node = map[string]any

// A document is the OpenAPI document, from which requests are generated.
type document struct{ root node }

func newDocument(t testing.TB) *document {
	t.Helper()
	d := &document{}
	require.NoError(t, json.Unmarshal(readDescription(t), &d.root))
	return d
}

// follow returns the object that a $ref names, and another object as it is.
func (d *document) follow(n node) node {
	ref, ok := n["$ref"].(string)
	if !ok {
		return n
	}
	target := d.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		target = target[name].(node)
	}
	return target
}

// An operation is an operation of the document.
type operation struct {
	id, method, path string
	parameters       []node
	mediaType        string // of the body; "" without one
	body             node
}

func (d *document) operations() (all []operation) {
	for path, item := range d.root["paths"].(node) {
		for method, op := range item.(node) {
			if method == "parameters" {
				continue
			}
			o := operation{id: op.(node)["operationId"].(string), method: strings.ToUpper(method), path: path}
			for _, list := range []any{item.(node)["parameters"], op.(node)["parameters"]} {
				parameters, _ := list.([]any)
				for _, p := range parameters {
					o.parameters = append(o.parameters, d.follow(p.(node)))
				}
			}
			if body, ok := op.(node)["requestBody"].(node); ok {
				for mediaType, content := range body["content"].(node) {
					o.mediaType, o.body = mediaType, d.follow(content.(node)["schema"].(node))
				}
			}
			all = append(all, o)
		}
	}
	return all
}

// headerFields returns the header fields that the document describes for a response, and false if it does
// not describe the response.
func (d *document) headerFields(method, path string, status int) (names []string, ok bool) {
	path, _, _ = strings.Cut(path, "?")
	if parts := strings.Split(path, "/"); len(parts) > 2 && parts[1] == "keys" {
		parts[2] = "{id}"
		path = strings.Join(parts, "/")
	}
	item, _ := d.root["paths"].(node)[path].(node)
	op, _ := item[strings.ToLower(method)].(node)
	responses, _ := op["responses"].(node)
	response, ok := responses[strconv.Itoa(status)].(node)
	if !ok {
		return nil, false
	}
	headers, _ := d.follow(response)["headers"].(node)
	return slices.Collect(maps.Keys(headers)), true
}

// rarely reports true in one of n cases.
func rarely(rt *rapid.T, n int, label string) bool { return rapid.IntRange(1, n).Draw(rt, label) == n }

// draw generates a request of an operation.
func (w *world) draw(rt *rapid.T, o operation) query {
	q := query{method: o.method, template: o.path, header: http.Header{}}
	values := url.Values{}
	for _, p := range o.parameters {
		name := p["name"].(string)
		if p["required"] != true && !rarely(rt, 3, "with "+name) {
			continue
		}
		value := w.parameter(rt, name, w.document.follow(p["schema"].(node)))
		switch p["in"] {
		case "path":
			q.id = value
		case "query":
			values.Add(name, value)
		case "header":
			q.header.Add(name, value)
		}
	}
	q.query = values.Encode()
	if rarely(rt, 20, "garbage in the query") {
		q.query += rapid.String().Draw(rt, "query")
	}
	if o.body != nil {
		q.header.Set("Content-Type", o.mediaType)
		q.body, _ = json.Marshal(w.value(rt, "", o.body))
	}
	switch rapid.IntRange(1, 40).Draw(rt, "fault of the body") {
	case 1:
		q.body = rapid.SliceOf(rapid.Byte()).Draw(rt, "body")
	case 2:
		q.body = append(q.body, rapid.SampledFrom([]string{"{}", "x", "\x00", " ", "\n"}).Draw(rt, "rest")...)
	case 3:
		q.body = q.body[:rapid.IntRange(0, len(q.body)).Draw(rt, "length")]
	case 4:
		q.body, _ = json.Marshal(rapid.Custom(garbage).Draw(rt, "garbage"))
	case 5:
		q.header.Set("Content-Type", rapid.SampledFrom([]string{"", "text/plain", "application/json; charset=utf-8", "multipart/form-data", ";"}).Draw(rt, "type"))
	}
	return q
}

// parameter generates the value of a parameter.
func (w *world) parameter(rt *rapid.T, name string, schema node) string {
	if rarely(rt, 15, "garbage in "+name) {
		return rapid.String().Draw(rt, name)
	}
	switch name {
	case "id":
		return rapid.SampledFrom(w.ids).Draw(rt, "id")
	case "cursor":
		return rapid.SampledFrom(w.cursors).Draw(rt, "cursor")
	case "If-Match", "If-None-Match":
		return rapid.SampledFrom([]string{`"`, `W/"`, ""}).Draw(rt, "quote") + rapid.SampledFrom(w.tags).Draw(rt, "tag") + `"`
	case "Idempotency-Key":
		return rapid.SampledFrom([]string{`"a"`, `b`, `"c\""`, `"`}).Draw(rt, "request ID")
	}
	switch v := w.value(rt, name, schema).(type) {
	case string:
		return v
	default:
		text, _ := json.Marshal(v)
		return string(text)
	}
}

// value generates a value that a schema permits, or almost permits.
func (w *world) value(rt *rapid.T, name string, schema node) any {
	schema = w.document.follow(schema)
	if rarely(rt, 25, "garbage for "+name) {
		return rapid.Custom(garbage).Draw(rt, "value")
	}
	kind, _ := schema["type"].(string)
	if kinds, ok := schema["type"].([]any); ok {
		kind = rapid.SampledFrom(kinds).Draw(rt, "type").(string)
	}
	switch kind {
	case "null":
		return nil
	case "boolean":
		return rapid.Bool().Draw(rt, name)
	case "integer", "number":
		least, _ := schema["minimum"].(float64)
		most, ok := schema["maximum"].(float64)
		if !ok {
			most = 1e6
		}
		return rapid.OneOf(rapid.Int64Range(int64(least), int64(most)), rapid.SampledFrom([]int64{int64(least) - 1, int64(most) + 1, 1 << 62})).Draw(rt, name)
	case "array":
		return rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) any { return w.value(rt, name, schema["items"].(node)) }), 0, 4).Draw(rt, name)
	case "object":
		return w.object(rt, schema)
	}
	return w.text(rt, name, schema)
}

func (w *world) object(rt *rapid.T, schema node) node {
	v := node{}
	properties, _ := schema["properties"].(node)
	required, _ := schema["required"].([]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		odds := 3
		if slices.Contains(required, any(name)) {
			odds = 20 // one of 20 objects lacks the member
		}
		if rarely(rt, odds, "with "+name) == (odds == 3) {
			v[name] = w.value(rt, name, properties[name].(node))
		}
	}
	if more, ok := schema["additionalProperties"].(node); ok {
		for range rapid.IntRange(0, 3).Draw(rt, "names") {
			v[rapid.OneOf(rapid.SampledFrom([]string{"room", "of"}), rapid.String()).Draw(rt, "name")] = w.value(rt, "", more)
		}
	} else if rarely(rt, 30, "unknown member") {
		v[rapid.String().Draw(rt, "name")] = rapid.Custom(garbage).Draw(rt, "value")
	}
	return v
}

// text generates a string. Some members have values that lead further than random ones.
func (w *world) text(rt *rapid.T, name string, schema node) string {
	if values, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(values).Draw(rt, name).(string)
	}
	var known []string
	switch {
	case name == "owner":
		known = []string{"alice", "alice", "bob"}
	case name == "scopes" || name == "scope":
		known = []string{"read", "write", "apikeys:manage"}
	case name == "networks":
		known = []string{"192.0.2.0/24", "2001:db8::/32", "192.0.2.1/24", "::ffff:0:0/90", "0.0.0.0/0"}
	case schema["format"] == "password":
		known = w.secrets
	case schema["format"] == "date-time":
		known = []string{"2099-01-01T00:00:00Z", "2026-01-31T12:00:00+01:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z"}
	default:
		return rapid.OneOf(rapid.StringMatching(`[A-Za-z ]{1,20}`), rapid.StringN(0, 101, -1)).Draw(rt, name)
	}
	if rarely(rt, 15, "random "+name) {
		return rapid.String().Draw(rt, name)
	}
	return rapid.SampledFrom(known).Draw(rt, name)
}

// garbage generates a JSON value.
func garbage(rt *rapid.T) any {
	switch rapid.IntRange(0, 6).Draw(rt, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(rt, "bool")
	case 2:
		return rapid.Float64Range(-1e300, 1e300).Draw(rt, "number")
	case 3:
		return rapid.SliceOfN(rapid.Custom(garbage), 0, 2).Draw(rt, "array")
	case 4:
		return rapid.MapOfN(rapid.String(), rapid.Custom(garbage), 0, 2).Draw(rt, "object")
	}
	return rapid.String().Draw(rt, "string")
}

// object returns the body of a response if it is a JSON object.
func object(w *httptest.ResponseRecorder) node {
	var v node
	json.Unmarshal(w.Body.Bytes(), &v) // the description decides whether it must be one
	return v
}

// keysOf returns the keys in a response, except the caller's own.
func keysOf(v node) (keys []node) {
	if v["version"] != nil {
		keys = append(keys, v)
	}
	if key, ok := v["key"].(node); ok && key["version"] != nil {
		keys = append(keys, key)
	}
	list, _ := v["keys"].([]any)
	for _, key := range list {
		keys = append(keys, key.(node))
	}
	return keys
}

// learn adds a text to a list and keeps the newest 30 texts.
func learn(list []string, text any) []string {
	if s, ok := text.(string); ok && !slices.Contains(list, s) {
		list = append(list, s)
	}
	return list[max(0, len(list)-30):]
}
