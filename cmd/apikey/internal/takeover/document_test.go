package takeover

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

func readPage(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("../../../../docs/migrate-keys.md")
	require.NoError(t, err)
	return string(page)
}

func TestEachSystemAndFlagIsDocumented(t *testing.T) {
	t.Parallel()
	page := readPage(t)
	for _, name := range systemNames() {
		assert.Contains(t, page, "`"+name+"`")
	}
	app := cli.New(cli.Streams{}, func(string) string { return "" })
	root := app.Root()
	cmd := Command(app)
	root.AddCommand(cmd)
	flags := regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(page, -1)
	require.NotEmpty(t, flags)
	for _, flag := range flags {
		name := strings.TrimPrefix(flag, "--")
		assert.True(t, cmd.Flags().Lookup(name) != nil || root.PersistentFlags().Lookup(name) != nil, "%s is documented and does not exist", flag)
	}
	for _, name := range []string{"dry-run", "sample", "source-file", "source-table", "scope-map", "scopes", "deadline", "pending", "strapi-salt-file"} {
		assert.Contains(t, flags, "--"+name)
	}
}

func TestTheDocumentedCSVFileIsImported(t *testing.T) {
	h := newHost(t)
	block := regexp.MustCompile("(?s)```\n(name,.*?)```").FindStringSubmatch(readPage(t))
	require.NotNil(t, block)
	header, _, _ := strings.Cut(block[1], "\n")
	assert.Equal(t, columns, strings.Split(header, ","), "every column is documented")
	status, r := h.importFrom("csv", "--source", writeFile(t, "keys.csv", block[1]))
	assert.Zero(t, status)
	assert.Equal(t, 1, r.Count[imported])
	key := h.keys()["Backup job"]
	assert.Equal(t, []string{"read", "write"}, key.Scopes)
	assert.Len(t, key.Limits, 1)
}
