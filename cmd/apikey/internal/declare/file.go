// Package declare makes the keys of a database agree with a file.
package declare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/sha256text"
	"github.com/latchkey-dev/apikey/manage"
)

const (
	maxFile = 4 << 20 // bytes
	maxKeys = 10_000
)

// declaredBy is the name in Key.Metadata whose value is the set that declares the key.
const declaredBy = manage.MetadataDeclaredBy

// A set is the content of a file of declared keys.
type set struct {
	Name  string     `yaml:"set"`
	Prune string     `yaml:"prune"`
	Keys  []declared `yaml:"keys"`
}

// A declared key has the fields of [apikey.Key]. A field that is absent is empty.
type declared struct {
	Name       string            `yaml:"name"`
	SHA256     string            `yaml:"sha256"`
	SecretFile string            `yaml:"secret_file"`
	Owner      string            `yaml:"owner"`
	Scopes     []string          `yaml:"scopes"`
	ExpiresAt  string            `yaml:"expires_at"`
	Networks   []string          `yaml:"networks"`
	Limits     []string          `yaml:"limits"`
	Metadata   map[string]string `yaml:"metadata"`
	Suspended  bool              `yaml:"suspended"`

	line int
}

// read reads a file of at most 4 MiB and 10,000 keys. A relative secret_file is relative to the directory of the file.
// An error about the content names the line.
func read(name string, stdin io.Reader) (*set, error) {
	text, err := readBounded(name, stdin)
	if err != nil {
		return nil, err
	}
	s, err := parse(text)
	if err != nil {
		return nil, err
	}
	for i := range s.Keys {
		if file := &s.Keys[i].SecretFile; *file != "" && !filepath.IsAbs(*file) && name != "-" {
			*file = filepath.Join(filepath.Dir(name), *file)
		}
	}
	return s, nil
}

func readBounded(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, cli.Usage(err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, problem(0, "more than %d bytes", maxFile)
	}
	return text, nil
}

// parse parses the text of a file.
func parse(text []byte) (*set, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, unreadable(err)
	}
	lines, err := keyLines(&root)
	if err != nil {
		return nil, err
	}
	var s set
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&s); err != nil && !errors.Is(err, io.EOF) {
		return nil, unreadable(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, problem(0, "more than one document")
	}
	switch {
	case s.Name == "":
		return nil, problem(0, "set: missing; want a name for this set of keys")
	case s.Prune != "" && s.Prune != "revoke":
		return nil, problem(0, "prune: want revoke, or no prune")
	case len(s.Keys) > maxKeys:
		return nil, problem(0, "keys: %d keys; want at most %d", len(s.Keys), maxKeys)
	case len(s.Keys) != len(lines):
		return nil, problem(0, "keys: want a list of keys without aliases")
	}
	for i := range s.Keys {
		s.Keys[i].line = lines[i]
	}
	return &s, nil
}

// plaintextFields are names under which people write a key itself.
var plaintextFields = regexp.MustCompile(`(?i)^(api[_-]?)?(key|secret|token|value|password|plaintext)$`)

// keyLines returns the line of each declared key. It refuses keys in plain text by the names of their
// fields, with a clearer error than that of an unknown field.
func keyLines(root *yaml.Node) (lines []int, err error) {
	if len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return nil, nil
	}
	top := root.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		if top[i].Value != "keys" {
			continue
		}
		for _, key := range top[i+1].Content {
			lines = append(lines, key.Line)
			for j := 0; key.Kind == yaml.MappingNode && j+1 < len(key.Content); j += 2 {
				if name := key.Content[j]; plaintextFields.MatchString(name.Value) {
					return nil, problem(name.Line, "%s: a key in the file could be read by everyone with access to the file; "+
						"want its digest as sha256, or secret_file with the name of a file that contains it", name.Value)
				}
			}
		}
	}
	return lines, nil
}

var (
	// quoted matches a value in an error.
	quoted = regexp.MustCompile("(?s)`.*?`" + `|"(?:[^"\\]|\\.)*"`)
	// longField matches a name that is as long as a key in an error of the YAML parser.
	longField = regexp.MustCompile(`field \S{16,} not found`)
)

// withoutValues removes values from an error, because a key may be among them.
func withoutValues(err error) string { return quoted.ReplaceAllString(err.Error(), "a value") }

// typeNames replaces the names of Go types in an error of the YAML parser.
var typeNames = strings.NewReplacer("type declare.declared", "a key", "type declare.set", "the file", "declare.declared", "a key", "declare.set", "the file")

// unreadable returns an error of the YAML parser without values.
func unreadable(err error) error {
	text := strings.TrimPrefix(strings.TrimPrefix(withoutValues(err), "yaml: "), "unmarshal errors:\n")
	text = typeNames.Replace(longField.ReplaceAllString(text, "field not found"))
	return problem(0, "%s", strings.TrimSpace(text))
}

// problem returns an error about a line of the file, or about the whole file for line 0.
func problem(line int, format string, args ...any) error {
	field := "file"
	if line > 0 {
		field = fmt.Sprintf("file, line %d", line)
	}
	return &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// imported returns the key to store. now is the time of a new suspension.
func (k *declared) imported(setName string, now time.Time) (apikey.ImportedKey, error) {
	out := apikey.ImportedKey{Name: k.Name, Owner: k.Owner, Scopes: k.Scopes, Metadata: map[string]string{declaredBy: setName}}
	for name, value := range k.Metadata {
		if name == declaredBy {
			return out, problem(k.line, "metadata: %s is reserved", declaredBy)
		}
		out.Metadata[name] = value
	}
	if k.Suspended {
		out.SuspendedAt = now
	}
	var err error
	if out.ExpiresAt, err = parseTime(k.ExpiresAt); err != nil {
		return out, problem(k.line, "expires_at: want a time such as 2027-01-31T00:00:00Z or a day such as 2027-01-31")
	}
	if out.Limits, err = apikey.ParseLimits(strings.Join(k.Limits, " ")); err != nil {
		return out, problem(k.line, "%s", withoutValues(err))
	}
	for _, text := range k.Networks {
		network, err := parseNetwork(text)
		if err != nil {
			return out, problem(k.line, "networks: want networks such as 10.0.0.0/8, or addresses")
		}
		out.Networks = append(out.Networks, network)
	}
	return out, k.addSecret(&out)
}

// refused returns the error about a key that a Format refuses.
func (k *declared) refused(err error, out apikey.ImportedKey, f *apikey.Format) error {
	_, onlyOwn := f.DigestSHA256(out.SHA256)
	if onlyOwn != nil && !strings.HasPrefix(out.Secret.Reveal(), f.Prefix()) {
		return problem(k.line, "digests and keys of other systems need --allow-imported, here and in the service")
	}
	return problem(k.line, "%s", withoutValues(err))
}

func (k *declared) addSecret(out *apikey.ImportedKey) (err error) {
	switch {
	case (k.SHA256 == "") == (k.SecretFile == ""):
		return problem(k.line, "want either sha256 or secret_file")
	case k.SHA256 != "":
		if out.SHA256, err = sha256text.Parse(k.SHA256); err != nil {
			return problem(k.line, "sha256: %v", err)
		}
	default:
		if out.Secret, err = cli.ReadSecretFile(k.SecretFile); err != nil {
			return problem(k.line, "secret_file: %v", err)
		}
	}
	return nil
}

func parseTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	return time.Parse(time.RFC3339, text)
}

func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" { // a network has no zone
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(text)
}
