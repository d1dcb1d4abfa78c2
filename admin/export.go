package admin

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// The limits of a file.
const (
	maxExport     = 10_000           // keys
	maxExportSize = 16 << 20         // bytes of JSON, without indentation
	maxExportTime = 10 * time.Second // of reading the store
)

// A file is a response that browsers save.
type file struct {
	name, mime string
	body       []byte
}

// visible lists the keys that a session may see.
type visible struct {
	apikey.KeyManager // nil, because apikey.Keys only lists
	session           *manage.Session
}

// List is the only method of a KeyManager that a visible has.
func (v visible) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	return v.session.List(ctx, o)
}

// An exportedKey is a key in a file.
type exportedKey struct {
	ID           string            `json:"id"`
	Name         string            `json:"name"`
	Status       apikey.Status     `json:"status"`
	Owner        string            `json:"owner,omitempty"`
	Scopes       []string          `json:"scopes,omitempty"`
	Networks     []netip.Prefix    `json:"networks,omitempty"`
	Limits       []string          `json:"limits,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`
	Hint         string            `json:"hint"`
	Replaces     string            `json:"replaces,omitempty"`
	CreatedAt    time.Time         `json:"created_at,omitzero"`
	ExpiresAt    time.Time         `json:"expires_at,omitzero"`
	LastUsedAt   time.Time         `json:"last_used_at,omitzero"`
	LastUsedAddr netip.Addr        `json:"last_used_addr,omitzero"`
	SuspendedAt  time.Time         `json:"suspended_at,omitzero"`
	RevokedAt    time.Time         `json:"revoked_at,omitzero"`
}

// exported returns the keys of the list with the query of the request. whole is false if a file cannot
// hold all of them or the store takes longer than maxExportTime.
func (v *visit) exported() (keys []exportedKey, whole bool, err error) {
	o, err := v.listOptions(v.r.URL.Query())
	if err != nil {
		return nil, false, err
	}
	if looksLikeKey(o.Search) {
		return nil, false, invalid("search", "looks like a key")
	}
	o.Cursor, o.Limit = "", 0
	ctx, cancel := context.WithTimeout(v.r.Context(), maxExportTime)
	defer cancel()
	size, seen := 0, map[string]bool{}
	for key, err := range apikey.Keys(ctx, visible{session: v.keys}, o) {
		if ctx.Err() != nil && v.r.Context().Err() == nil {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if seen[key.ID] { // a key that changes during the export can come again on a later page
			continue
		}
		seen[key.ID] = true
		exported := v.export(&key)
		text, err := json.Marshal(exported)
		if err != nil {
			return nil, false, err
		}
		if size += len(text); size > maxExportSize || len(keys) == maxExport {
			return nil, false, nil
		}
		keys = append(keys, exported)
	}
	return keys, true, nil
}

func (v *visit) export(key *apikey.Key) exportedKey {
	status := v.row(key).State
	if status == expiringState {
		status = apikey.StatusActive
	}
	return exportedKey{
		ID: key.ID, Name: key.Name, Status: status, Owner: key.Owner, Scopes: key.Scopes, Networks: key.Networks, Limits: limitWords(key.Limits), Metadata: key.Metadata,
		Hint: key.Hint, Replaces: key.Replaces, CreatedAt: key.CreatedAt, ExpiresAt: key.ExpiresAt, LastUsedAt: key.LastUsedAt,
		LastUsedAddr: key.LastUsedAddr, SuspendedAt: key.SuspendedAt, RevokedAt: key.RevokedAt,
	}
}

func (v *visit) exportJSON() (page, error) {
	return v.exportAs("api-keys.json", "application/json", writeJSON)
}

func (v *visit) exportCSV() (page, error) {
	return v.exportAs("api-keys.csv", "text/csv; charset=utf-8", writeCSV)
}

// exportAs returns a file with the keys of the list. If the file cannot hold all of them, it returns the
// page that says so, because a file that lacks keys would mislead.
func (v *visit) exportAs(name, mime string, write func(io.Writer, []exportedKey) error) (page, error) {
	release, ok := v.h.exports.take(v.access().Owner)
	if !ok {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(maxExportTime/time.Second)))
		return v.errorPage(http.StatusServiceUnavailable, v.t("Service unavailable"), v.t("Another file is being made. Try again in a moment.")), nil
	}
	defer release()
	keys, whole, err := v.exported()
	switch {
	case err != nil:
		return page{}, err
	case !whole:
		message := v.t("A file holds at most 10,000 keys and 16 MiB, which the store must return within 10 seconds. Use the filters to narrow the list.")
		return v.errorPage(http.StatusUnprocessableEntity, v.t("Too many keys"), message), nil
	}
	var body bytes.Buffer
	if err := write(&body, keys); err != nil {
		return page{}, err
	}
	return page{file: &file{name, mime, body.Bytes()}}, nil
}

func writeJSON(to io.Writer, keys []exportedKey) error {
	e := json.NewEncoder(to)
	e.SetEscapeHTML(false)
	e.SetIndent("", "\t")
	return e.Encode(map[string][]exportedKey{"keys": append([]exportedKey{}, keys...)})
}

func writeCSV(to io.Writer, keys []exportedKey) error {
	w := csv.NewWriter(to)
	w.UseCRLF = true // RFC 4180 section 2
	w.Write([]string{"id", "name", "status", "owner", "scopes", "networks", "limits", "metadata", "hint", "replaces", "created_at", "expires_at", "last_used_at", "last_used_addr", "suspended_at", "revoked_at"})
	for _, key := range keys {
		metadata := ""
		if len(key.Metadata) > 0 {
			text, err := json.Marshal(key.Metadata)
			if err != nil {
				return err
			}
			metadata = string(text)
		}
		addr := ""
		if key.LastUsedAddr.IsValid() {
			addr = key.LastUsedAddr.String()
		}
		cells := []string{
			key.ID, key.Name, string(key.Status), key.Owner, strings.Join(key.Scopes, " "), strings.Join(networkWords(key.Networks), " "), strings.Join(key.Limits, " "), metadata, key.Hint, key.Replaces,
			timeCell(key.CreatedAt), timeCell(key.ExpiresAt), timeCell(key.LastUsedAt), addr, timeCell(key.SuspendedAt), timeCell(key.RevokedAt),
		}
		for i := range cells {
			cells[i] = safeCell(cells[i])
		}
		w.Write(cells)
	}
	w.Flush()
	return w.Error()
}

func timeCell(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// safeCell returns a cell that spreadsheets do not evaluate as a formula (OWASP CSV Injection). A
// spreadsheet may split a cell at another separator or quote than the comma of this file, and ignore
// spaces before a formula.
func safeCell(text string) string {
	var safe strings.Builder
	begin := true
	for _, r := range text {
		if begin && strings.ContainsRune("=+-@＝＋－＠\t\r", r) {
			safe.WriteByte('\'')
		}
		begin = strings.ContainsRune(";,|\"'\t\r\n", r) || begin && (r == ' ' || r == '\u00a0')
		safe.WriteRune(r)
	}
	return safe.String()
}
