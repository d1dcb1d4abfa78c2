package takeover

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/sha256text"
)

const maxFile = 256 << 20 // bytes

// columns are the columns of a CSV file and the fields of a JSON file. Each row needs either key or sha256. In CSV,
// spaces separate scopes, networks and limits.
var columns = []string{"name", "key", "sha256", "owner", "scopes", "networks", "limits", "hint", "source_id",
	"created_at", "expires_at", "revoked_at", "suspended_at", "last_used_at"}

// readFile reads keys from a file of CSV or JSON, or from the standard input if its name is "-".
func readFile(format, name string, stdin io.Reader) ([]row, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, cli.Usage(err)
		}
		defer file.Close()
		in = file
	}
	bounded := &io.LimitedReader{R: in, N: maxFile}
	read := readCSV
	if format == "json" {
		read = readJSON
	}
	rows, err := read(bounded)
	if bounded.N == 0 {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("source: %w", err))
	}
	return rows, nil
}

func readCSV(in io.Reader) (rows []row, err error) {
	r := csv.NewReader(in)
	r.ReuseRecord = true
	header, err := r.Read()
	if err != nil {
		return nil, errors.New("want a header with the names of the columns")
	}
	names := slices.Clone(header)
	names[0] = strings.TrimPrefix(names[0], "\ufeff") // spreadsheets write a byte order mark
	for i, name := range names {
		if !slices.Contains(columns, name) || slices.Contains(names[:i], name) {
			// Not shown, because a file without a header begins with a key.
			return nil, fmt.Errorf("column %d is unknown or repeated; want a header with %s", i+1, strings.Join(columns, ", "))
		}
	}
	for number := 2; ; number++ {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return nil, err
		}
		f := map[string]string{}
		for i, name := range names {
			f[name] = strings.Clone(fields[i])
		}
		if rows, err = appendRow(rows, f, number); err != nil {
			return nil, err
		}
	}
}

func readJSON(in io.Reader) (rows []row, err error) {
	d := json.NewDecoder(in)
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, errors.New("want an array of objects")
	}
	for number := 1; d.More(); number++ {
		var object map[string]any
		if err := d.Decode(&object); err != nil {
			return nil, fmt.Errorf("key %d: want an object", number) // an error of package json may show a value
		}
		f := map[string]string{}
		for name, value := range object {
			text, ok := jsonText(value)
			if !ok || !slices.Contains(columns, name) {
				return nil, fmt.Errorf("key %d: %s is unknown or of a wrong type; want %s", number, shown(name), strings.Join(columns, ", "))
			}
			f[name] = text
		}
		if rows, err = appendRow(rows, f, number); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("the array does not end")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text after the array; want one array with all keys")
	}
	return rows, nil
}

// shown returns the name of a field for an error. It does not show a name that is as long as a key.
func shown(name string) string {
	if len(name) >= 16 {
		return "a field"
	}
	return fmt.Sprintf("field %q", name)
}

// jsonText returns a JSON string, or the strings of an array joined with spaces. It returns false for other values.
func jsonText(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case []any:
		var texts []string
		for _, item := range v {
			text, ok := item.(string)
			if !ok {
				return "", false
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, " "), true
	}
	return "", false
}

func appendRow(rows []row, f map[string]string, number int) ([]row, error) {
	if len(rows) == maxRows {
		return nil, fmt.Errorf("more than %d keys; import them in parts", maxRows)
	}
	return append(rows, fileRow(f, number)), nil
}

// fileRow returns the row of the fields in the line or the object with this number.
func fileRow(f map[string]string, number int) row {
	r := row{id: f["source_id"], scopes: strings.Fields(f["scopes"]), key: apikey.ImportedKey{Name: f["name"], Owner: f["owner"], Hint: f["hint"]}}
	if r.id == "" {
		r.id = fmt.Sprintf("row %d", number)
	}
	// The errors show no values, because in a file with shifted columns a key may be anywhere.
	fail := func(field string, err error, want string) {
		if err != nil && r.problem == "" {
			r.problem = field + ": want " + want
		}
	}
	var err error
	for _, t := range []struct {
		field string
		at    *time.Time
	}{{"created_at", &r.key.CreatedAt}, {"expires_at", &r.key.ExpiresAt}, {"revoked_at", &r.key.RevokedAt},
		{"suspended_at", &r.key.SuspendedAt}, {"last_used_at", &r.key.LastUsedAt}} {
		*t.at, err = parseTime(f[t.field])
		fail(t.field, err, "a time after 1970, such as 2027-01-31T00:00:00Z")
	}
	for text := range strings.FieldsSeq(f["networks"]) {
		network, err := netip.ParsePrefix(text)
		fail("networks", err, "networks such as 10.0.0.0/8")
		r.key.Networks = append(r.key.Networks, network)
	}
	r.key.Limits, err = apikey.ParseLimits(f["limits"])
	fail("limits", err, "limits such as api=100/1m")
	switch key, sum := f["key"], f["sha256"]; {
	case (key == "") == (sum == ""):
		r.problem = "want either key or sha256"
	case key != "":
		r.key.Secret = apikey.NewSecret(key)
	default:
		r.key.SHA256, err = sha256text.Parse(sum)
		fail("sha256", err, "a SHA-256 in hex, base64 or base64url")
	}
	return r
}
