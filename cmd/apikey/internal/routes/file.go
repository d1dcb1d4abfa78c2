package routes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/latchkey-dev/apikey"
)

// maxRuleFile is the size limit of a rules file, in bytes.
const maxRuleFile = 1 << 20

// A rulesFile is the content of a rules file.
type rulesFile struct {
	Rules []ruleEntry `yaml:"rules"`
}

// A ruleEntry is a rule in the file. Exactly one of Scopes, AnyKey and Public must be set, so that a misspelled or
// forgotten field never opens a route.
type ruleEntry struct {
	Match  string   `yaml:"match"`
	Scopes []string `yaml:"scopes"`
	AnyKey bool     `yaml:"any_key"`
	Public bool     `yaml:"public"`
}

// Read reads the rules from a file of at most 1 MiB. The errors name the file and lines.
func Read(name string) (*Table, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxRuleFile+1))
	if err != nil {
		return nil, err
	}
	table, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return table, nil
}

// Parse parses the text of a rules file. The errors name lines.
func Parse(text []byte) (*Table, error) {
	if len(text) > maxRuleFile {
		return nil, fmt.Errorf("has more than %d bytes", maxRuleFile)
	}
	var file rulesFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(forReaders(err.Error()))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("has a second document")
	}
	if len(file.Rules) == 0 {
		return nil, errors.New("has no rules, so every request would be refused")
	}
	lines, err := ruleLines(text)
	if err != nil {
		return nil, err
	}
	table := newTable()
	for i, entry := range file.Rules {
		r, err := entry.rule()
		if err == nil {
			err = table.add(r)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines[i], err)
		}
	}
	return table, nil
}

// forReaders replaces the names of Go types in an error of package yaml.
func forReaders(text string) string {
	text = strings.TrimPrefix(text, "yaml: unmarshal errors:\n  ")
	return strings.NewReplacer("type routes.rulesFile", "the file", "type routes.ruleEntry", "a rule", "routes.ruleEntry", "a rule", "\n  ", "; ").Replace(text)
}

// ruleLines returns the line of each rule. A decoder with KnownFields does not return lines.
func ruleLines(text []byte) ([]int, error) {
	var positions struct {
		Rules []yaml.Node `yaml:"rules"`
	}
	if err := yaml.Unmarshal(text, &positions); err != nil {
		return nil, err
	}
	lines := make([]int, len(positions.Rules))
	for i, node := range positions.Rules {
		lines[i] = node.Line
	}
	return lines, nil
}

// rule returns the rule of an entry.
func (e *ruleEntry) rule() (*rule, error) {
	chosen := 0
	for _, set := range []bool{e.Scopes != nil, e.AnyKey, e.Public} {
		if set {
			chosen++
		}
	}
	switch {
	case e.Match == "":
		return nil, errors.New(`match is missing; want a pattern such as "GET /library/{id}"`)
	case chosen != 1:
		return nil, fmt.Errorf("%s: want exactly one of scopes, any_key: true and public: true", e.Match)
	case e.Scopes != nil && len(e.Scopes) == 0:
		return nil, fmt.Errorf("%s: scopes is empty; for any valid key write any_key: true", e.Match)
	case strings.Contains(e.Match, "%"):
		return nil, fmt.Errorf("%s: write the path without %% escapes", e.Match)
	}
	if len(e.Scopes) > 0 {
		if err := (&apikey.Key{ID: "rule", Name: "rule", Scopes: e.Scopes}).Validate(); err != nil {
			return nil, fmt.Errorf("%s: %w", e.Match, err)
		}
	}
	return &rule{pattern: e.Match, public: e.Public, scopes: e.Scopes}, nil
}

// register adds a handler to a mux. It returns an error for a malformed pattern and for a conflict with an earlier
// pattern, for which Handle panics.
func register(mux *http.ServeMux, pattern string, h http.Handler) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			err = errors.New(place.ReplaceAllString(fmt.Sprint(problem), ""))
		}
	}()
	mux.Handle(pattern, h)
	return nil
}

// place matches the position in Go code in a panic of Handle.
var place = regexp.MustCompile(` \(registered at [^)]*\)`)
