package leaktest

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-dev/apikey/leak"
)

// detectors is the part of trufflehog's configuration that rules use. Other fields are an error.
type detectors struct {
	Detectors []struct {
		Name        string            `yaml:"name"`
		Description string            `yaml:"description"`
		Keywords    []string          `yaml:"keywords"`
		Regex       map[string]string `yaml:"regex"`
		Entropy     float64           `yaml:"entropy"`
		Verify      []struct {
			Endpoint      string   `yaml:"endpoint"`
			SuccessRanges []string `yaml:"successRanges"`
			RotatedRanges []string `yaml:"rotatedRanges"`
		} `yaml:"verify"`
	} `yaml:"detectors"`
}

func TestTheDetectorOfTrufflehogFindsAKey(t *testing.T) {
	f := formatOf(t, "ak")
	rules, err := leak.Rules(f, leak.TruffleHog, leak.RuleOptions{Service: "Acme: & # Sons", VerifyURL: "https://h/verify?a=1&b=2#c"})
	require.NoError(t, err)
	var parsed detectors
	d := yaml.NewDecoder(strings.NewReader(rules))
	d.KnownFields(true)
	require.NoError(t, d.Decode(&parsed))
	require.Len(t, parsed.Detectors, 1)
	one := parsed.Detectors[0]
	assert.Equal(t, "ak-api-key", one.Name)
	assert.Equal(t, "API key of Acme: & # Sons", one.Description)
	assert.Equal(t, []string{"ak_"}, one.Keywords)
	assert.Equal(t, "https://h/verify?a=1&b=2#c", one.Verify[0].Endpoint)
	assert.Equal(t, []string{"200"}, one.Verify[0].SuccessRanges)
	assert.Equal(t, []string{"401"}, one.Verify[0].RotatedRanges)
	key := issue(t, f)
	matches := regexp.MustCompile(one.Regex["key"]).FindAllStringSubmatch("a=%3D"+key+"&", -1)
	assert.Equal(t, [][]string{{"%3D" + key, key}}, matches, "the last group is the key, as Verify takes it")
}
