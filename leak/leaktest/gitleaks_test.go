//go:build long

package leaktest

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/spf13/viper"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
)

// gitleaks returns a detector with only the rule of a Format.
func gitleaks(t testing.TB, f *apikey.Format) *detect.Detector {
	t.Helper()
	parsed := parse(t, f)
	require.True(t, parsed.Extend.UseDefault)
	parsed.Extend.UseDefault = false // gitleaks reads the default rules only once in a process
	cfg, err := parsed.Translate()
	require.NoError(t, err)
	return detect.NewDetector(cfg)
}

// parse reads the rules of a Format as gitleaks does.
func parse(t testing.TB, f *apikey.Format) config.ViperConfig {
	t.Helper()
	rules, err := leak.Rules(f, leak.Gitleaks, leak.RuleOptions{Service: "Acme & Sons"})
	require.NoError(t, err)
	v := viper.New()
	v.SetConfigType("toml")
	require.NoError(t, v.ReadConfig(strings.NewReader(rules)))
	var parsed config.ViperConfig
	require.NoError(t, v.UnmarshalExact(&parsed), "an unknown field")
	return parsed
}

func TestGitleaksFindsKeysBesidesTheSecretsOfItsDefaultRules(t *testing.T) {
	f := formatOf(t, "ak")
	parsed := parse(t, f)
	cfg, err := parsed.Translate()
	require.NoError(t, err)
	key := issue(t, f)
	rules := map[string]bool{}
	for _, finding := range detect.NewDetector(cfg).DetectString("a = ghp_" + key[3:] + "\nb = " + key + "\n") {
		rules[finding.RuleID] = true
	}
	assert.True(t, rules["ak-api-key"])
	assert.True(t, rules["github-pat"])
}

// found returns the secrets that the rule with this ID finds in a text.
func found(d *detect.Detector, id, text string) (all []string) {
	for _, finding := range d.DetectString(text) {
		if finding.RuleID == id {
			all = append(all, finding.Secret)
		}
	}
	return all
}

func TestGitleaksFindsKeys(t *testing.T) {
	for _, prefix := range []string{"ak", "acme_live", "k9"} {
		f := formatOf(t, prefix)
		d, id := gitleaks(t, f), strings.ReplaceAll(prefix, "_", "-")+"-api-key"
		for name, template := range map[string]string{
			"Go":                  "const key = \"%s\"\n",
			"a Go comment":        "// the key of staging is %s.\n",
			"YAML":                "api:\n  key: %s\n  other: 1\n",
			"a flow in YAML":      "headers: {X-API-Key: %s, Accept: '*/*'}\n",
			"a .env file":         "export API_KEY=%s\n",
			"JSON":                `{"api_key":"%s","n":1}`,
			"escaped JSON":        `{"log":"sent\n%s\nto"}`,
			"escaped quotes":      `{"log":"{\"api_key\":\"%s\"}"}`,
			"a URL":               "http://localhost:8096/emby/System/Info?api_key=%s&x=1\n",
			"an escaped URL":      "https://h/login?next=%%2Fa%%3Fapi_key%%3D%s%%26x\n",
			"a header":            "curl -H 'X-API-Key: %s' https://h/\n",
			"Authorization":       "Authorization: Bearer %s\r\n",
			"XML":                 "<key>%s</key>",
			"Markdown":            "Use `%s` for tests.",
			"an HTML entity":      "&quot;%s&quot;",
			"the whole file":      "%s",
			"the end of a line":   "KEY=%s\n",
			"a path":              "/hooks/%s/run",
			"a user of a URL":     "https://%s@git.example.com/r.git",
			"a password of a URL": "https://x:%s@git.example.com/r.git",
		} {
			key := issue(t, f)
			assert.Equal(t, []string{key}, found(d, id, fmt.Sprintf(template, key)), "%s: %s", prefix, name)
		}
	}
}

func TestGitleaksFindsNothingElse(t *testing.T) {
	f := formatOf(t, "ak")
	d := gitleaks(t, f)
	key := issue(t, f)
	body := key[len("ak_"):]
	blob := make([]byte, 3000)
	for i := range blob {
		blob[i] = byte(i * i * 31 >> 3)
	}
	for name, text := range map[string]string{
		"a key that lacks a character":   key[:len(key)-1],
		"a key with one more character":  key + "x",
		"a key with an underscore after": key + "_x",
		"a key with a hyphen within":     key[:20] + "-" + key[21:],
		"another prefix":                 "pk_" + body,
		"a longer prefix":                "peak_" + body,
		"a prefix in another prefix":     "x_ak_" + body,
		"a prefix in capitals":           "AK_" + body,
		"a prefix without underscore":    "ak" + body,
		"a prefix with a hyphen":         "ak-" + body,
		"no prefix":                      body,
		"a prefix alone":                 "the prefix is ak_ and 36 characters",
		"a placeholder of one letter":    "ak_" + strings.Repeat("x", 36),
		"a placeholder of four letters":  "ak_" + strings.Repeat("ABCD", 9),
		"a regular expression":           f.Pattern(),
		"a Go identifier":                "ak_NewKeyManagerWithTheStoreOfTheService := 1",
		"a SHA-256":                      "sha256:" + hex.EncodeToString(blob[:32]),
		"a SHA-1":                        hex.EncodeToString(blob[:20]),
		"a UUID":                         "ak_ 0f8fad5b-d9cb-469f-a165-70867728950e",
		"a base64 blob":                  base64.StdEncoding.EncodeToString(blob),
		"a base64url blob":               "ak_ " + base64.RawURLEncoding.EncodeToString(blob),
		"a token of GitHub":              "ghp_" + body,
		"an escaped key without prefix":  url.QueryEscape("=" + body),
	} {
		assert.Empty(t, found(d, "ak-api-key", "key = \""+text+"\"\n"), name)
	}
}

func TestGitleaksFindsEachKeyInAFileOfMany(t *testing.T) {
	f := formatOf(t, "ak")
	d := gitleaks(t, f)
	var keys []string
	var file strings.Builder
	for i := range 1000 {
		keys = append(keys, issue(t, f))
		fmt.Fprintf(&file, "%s%s,pk_%s\n", []string{"", "k=", "\\n", "%3D", "a: "}[i%5], keys[i], keys[i][3:])
	}
	assert.Equal(t, keys, found(d, "ak-api-key", file.String()))
}
