package declare

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
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

func TestTheDocumentedCommandsApplyTheDocumentedFile(t *testing.T) {
	h := newHost(t)
	text, err := os.ReadFile("testdata/keys.yaml")
	require.NoError(t, err)
	page, err := os.ReadFile(document)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(h.dir, "secrets"), 0o700))
	h.write("secrets/media-server", hubKey)
	h.write("keys.yaml", string(text))
	commands := regexp.MustCompile(`(?m)^\$ apikey (apply .*)$`).FindAllStringSubmatch(string(page), -1)
	require.Len(t, commands, 2)
	for i, command := range commands {
		args := strings.Fields(strings.Replace(command[1], "keys.yaml", filepath.Join(h.dir, "keys.yaml"), 1))
		args = slices.Insert(args, 1, "--allow-imported=false") // undoes the setting of the host
		status, _, errs := h.run("", args...)
		assert.Equal(t, cli.ExitOK, status, "%s: %s", command[1], errs)
		assert.Len(t, h.keys(), 2*i, command[1])
	}
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
