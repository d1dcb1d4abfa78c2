package leak

import (
	"fmt"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// A Tool is a secret scanner for which [Rules] writes rules.
type Tool string

// The tools. Their values are the arguments of the command "apikey scanner-rules".
const (
	Gitleaks     Tool = "gitleaks"     // version 8: .gitleaks.toml
	Betterleaks1 Tool = "betterleaks1" // version 1: .betterleaks.toml
	Betterleaks2 Tool = "betterleaks2" // version 2: .betterleaks.toml
	TruffleHog   Tool = "trufflehog"   // version 3: a custom detector in config.yaml
)

// Tools returns all tools.
func Tools() []Tool { return []Tool{Gitleaks, Betterleaks1, Betterleaks2, TruffleHog} }

// RuleOptions configures [Rules]. The zero value is ready for use.
type RuleOptions struct {
	// Service is the name of the service in the description of the rule: at most 100 printable ASCII
	// characters other than quotes and "\". "" means a description without a name.
	Service string
	// VerifyURL is the https URL of [Verify], with which betterleaks and trufflehog find out whether a key
	// is live. "" means rules without verification. Gitleaks does not verify. The scanner sends every key
	// that it finds to this URL. At most 500 visible ASCII characters other than quotes, "$" and "\".
	VerifyURL string
}

// entropy is the least Shannon entropy of a key, in bits for each character. Random keys have about 4.7. A
// placeholder such as ak_xxxx… has less than this.
const entropy = 3.5

// Rules returns a configuration with which a scanner finds the keys of a Format. Its rule matches words with
// the exact prefix, length and alphabet. Scanners cannot compute the check characters of a key, so Verify or
// GitHub's endpoint sorts out accidental matches. Scanners do not find imported keys, which have no shape.
//
// The TOML configurations extend the default rules of the tool. Otherwise the tool would use only this rule.
// A keyword that the tool searches for first makes the rule fast.
//
// The error wraps [apikey.ErrInvalid] if f is nil, the tool is unknown, or an option is out of its limits.
func Rules(f *apikey.Format, tool Tool, o RuleOptions) (string, error) {
	switch {
	case f == nil:
		return "", invalid("Format", "nil; want one made by apikey.NewFormat")
	case !isPlain(o.Service, 100):
		return "", invalid("Service", "%q: want at most 100 printable ASCII characters other than quotes and \\", o.Service)
	case o.VerifyURL != "" && (!isHTTPS(o.VerifyURL) || !isPlain(o.VerifyURL, 500) || strings.ContainsAny(o.VerifyURL, " $")):
		return "", invalid("VerifyURL", "%q: want an https URL of at most 500 visible ASCII characters", o.VerifyURL)
	}
	r := rule{
		ID:          strings.ReplaceAll(f.Prefix(), "_", "-") + "api-key",
		Description: "API key",
		Regex:       boundary + "(" + f.Pattern() + `)\b`,
		Keyword:     f.Prefix(),
		VerifyURL:   o.VerifyURL,
	}
	if o.Service != "" {
		r.Description = "API key of " + o.Service
	}
	switch tool {
	case Gitleaks:
		return r.gitleaks(), nil
	case Betterleaks1:
		return r.gitleaks() + r.validate("secret", "unknown(r)"), nil
	case Betterleaks2:
		return r.betterleaks2(), nil
	case TruffleHog:
		return r.trufflehog(), nil
	}
	return "", invalid("Tool", "%q: want one of %q", tool, Tools())
}

// boundary precedes a key: the end of another word, an escaped character of a URL, or an escape sequence of
// a string literal.
const boundary = `(?:\b|%[0-9A-Fa-f]{2}|\\[nrt])`

// isPlain reports whether a text needs no escaping in TOML, YAML and CEL.
func isPlain(s string, most int) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || strings.IndexByte("\"'`\\", s[i]) >= 0 {
			return false
		}
	}
	return len(s) <= most
}

// A rule has the parts that the rules of all tools have in common. Its texts need no escaping.
type rule struct{ ID, Description, Regex, Keyword, VerifyURL string }

// head returns the part of a TOML configuration that gitleaks and betterleaks share.
func (r rule) head() string {
	return fmt.Sprintf(`[extend]
useDefault = true

[[rules]]
id = "%s"
description = "%s"
regex = '''%s'''
keywords = ["%s"]
`, r.ID, r.Description, r.Regex, r.Keyword)
}

func (r rule) gitleaks() string {
	return r.head() + fmt.Sprintf("secretGroup = 1\nentropy = %.1f\n", entropy)
}

func (r rule) betterleaks2() string {
	return r.head() + fmt.Sprintf("filter = '''filter.entropy(finding[\"secret\"]) <= %.1f'''\n", entropy) +
		r.validate(`finding["secret"]`, "validate.unknown(r)")
}

// validate returns the CEL expression with which betterleaks asks Verify about a key.
func (r rule) validate(secret, unknown string) string {
	if r.VerifyURL == "" {
		return ""
	}
	return fmt.Sprintf(`validate = '''
cel.bind(r,
  http.post("%s", {"Content-Type": "application/json"},
    "{\"%s\":{\"key\":[\"" + %s + "\"]}}"),
  r.status == 200 ? {"result": "valid"} : r.status == 401 ? {"result": "invalid"} : %s
)
'''
`, r.VerifyURL, r.ID, secret, unknown)
}

func (r rule) trufflehog() string {
	s := fmt.Sprintf(`detectors:
  - name: %s
    description: "%s"
    keywords:
      - %s
    regex:
      key: '%s'
    entropy: %.1f
`, r.ID, r.Description, r.Keyword, r.Regex, entropy)
	if r.VerifyURL == "" {
		return s
	}
	return s + fmt.Sprintf(`    verify:
      - endpoint: "%s"
        successRanges:
          - "200"
        rotatedRanges:
          - "401"
`, r.VerifyURL)
}
