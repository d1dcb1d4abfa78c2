package declare

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

const document = "../../../../docs/declared-keys.md"

func TestTheDocumentedFileIsApplied(t *testing.T) {
	h := newHost(t)
	text, err := os.ReadFile("testdata/keys.yaml")
	require.NoError(t, err)
	page, err := os.ReadFile(document)
	require.NoError(t, err)
	assert.Contains(t, string(page), "```yaml\n"+string(text)+"```")
	require.NoError(t, os.Mkdir(filepath.Join(h.dir, "secrets"), 0o700))
	h.write("secrets/media-server", hubKey)
	h.write("keys.yaml", string(text))
	file := filepath.Join(h.dir, "keys.yaml")
	for _, want := range []int{cli.ExitChanged, cli.ExitOK} {
		status, _, errs := h.run("", "apply", "-f", file, "--exit-code")
		assert.Equal(t, want, status, errs)
	}
	assert.Len(t, h.keys(), 2)
	assert.Equal(t, 200, h.request(hubKey))
}

func TestDocumentedFlagsExist(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(document)
	require.NoError(t, err)
	app := cli.New(cli.Streams{}, func(string) string { return "" })
	root := app.Root()
	cmd := Command(app)
	root.AddCommand(cmd)
	flags := regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(string(page), -1)
	require.NotEmpty(t, flags)
	for _, flag := range flags {
		name := strings.TrimPrefix(flag, "--")
		assert.True(t, cmd.Flags().Lookup(name) != nil || root.PersistentFlags().Lookup(name) != nil, flag)
	}
}
