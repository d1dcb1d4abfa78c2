package leak_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
)

var update = flag.Bool("update", false, "write the golden files")

func TestRulesAreThoseOfTheGoldenFiles(t *testing.T) {
	t.Parallel()
	format, err := apikey.NewFormat("acme_live", apikey.FormatOptions{})
	require.NoError(t, err)
	for _, tool := range leak.Tools() {
		for name, o := range map[string]leak.RuleOptions{
			"":        {},
			"-verify": {Service: "Acme & Sons: \u0023 1", VerifyURL: "https://api.example.com/leaks/verify"},
		} {
			rules, err := leak.Rules(format, tool, o)
			require.NoError(t, err)
			file := filepath.Join("testdata", string(tool)+name+".golden")
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(rules), 0o600))
			}
			want, err := os.ReadFile(filepath.Clean(file))
			require.NoError(t, err)
			assert.Equal(t, string(want), rules, "%s; run with -update", file)
		}
	}
}

func TestRulesRefuse(t *testing.T) {
	t.Parallel()
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{})
	require.NoError(t, err)
	for _, test := range []struct {
		field  string
		format *apikey.Format
		tool   leak.Tool
		o      leak.RuleOptions
	}{
		{"Format", nil, leak.Gitleaks, leak.RuleOptions{}},
		{"Tool", format, "", leak.RuleOptions{}},
		{"Tool", format, "Gitleaks", leak.RuleOptions{}},
		{"Service", format, leak.Gitleaks, leak.RuleOptions{Service: `a"`}},
		{"Service", format, leak.Gitleaks, leak.RuleOptions{Service: "a\n"}},
		{"Service", format, leak.Gitleaks, leak.RuleOptions{Service: `a\`}},
		{"Service", format, leak.Gitleaks, leak.RuleOptions{Service: "é"}},
		{"Service", format, leak.Gitleaks, leak.RuleOptions{Service: strings.Repeat("a", 101)}},
		{"VerifyURL", format, leak.TruffleHog, leak.RuleOptions{VerifyURL: "http://h/"}},
		{"VerifyURL", format, leak.TruffleHog, leak.RuleOptions{VerifyURL: "https://h/'''"}},
		{"VerifyURL", format, leak.TruffleHog, leak.RuleOptions{VerifyURL: "https://h/$token"}},
		{"VerifyURL", format, leak.TruffleHog, leak.RuleOptions{VerifyURL: "https://h/" + strings.Repeat("a", 500)}},
	} {
		_, err := leak.Rules(test.format, test.tool, test.o)
		var wrong *apikey.InvalidError
		if assert.ErrorAs(t, err, &wrong, "%+v", test) {
			assert.Equal(t, test.field, wrong.Field)
		}
	}
}

// The rules demand an entropy of more than 3.5, which every real key must have.
func TestKeysHaveMoreEntropyThanTheRulesDemand(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.FormatOptions{})
	least := math.Inf(1)
	for range 20_000 {
		token, _ := s.issue("x")
		least = min(least, shannon(token))
	}
	t.Log("the least entropy of 20,000 keys:", least)
	assert.Greater(t, least, 3.9)
	assert.Less(t, shannon("ak_"+strings.Repeat("x", 36)), 3.5)
}

// shannon returns the bits of entropy for each character of a text.
func shannon(s string) (bits float64) {
	counts := map[rune]float64{}
	for _, c := range s {
		counts[c]++
	}
	for _, n := range counts {
		p := n / float64(len(s))
		bits -= p * math.Log2(p)
	}
	return bits
}

func ExampleRules() {
	format, err := apikey.NewFormat("acme", apikey.FormatOptions{})
	if err != nil {
		panic(err)
	}
	rules, err := leak.Rules(format, leak.Gitleaks, leak.RuleOptions{Service: "Acme"})
	fmt.Print(rules, err)
	// Output:
	// [extend]
	// useDefault = true
	//
	// [[rules]]
	// id = "acme-api-key"
	// description = "API key of Acme"
	// regex = '''(?:\b|%[0-9A-Fa-f]{2}|\\[nrt])(acme_[0-9A-Za-z]{36})\b'''
	// keywords = ["acme_"]
	// secretGroup = 1
	// entropy = 3.5
	// <nil>
}
