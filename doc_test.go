package apikey_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPackageDocListsEveryName(t *testing.T) {
	t.Parallel()
	overview, exported := documented(t)
	_, groups, found := strings.Cut(overview, "# Names for services")
	require.True(t, found)
	forServices, forStores, found := strings.Cut(groups, "# Names for authors of stores and middleware")
	require.True(t, found)

	listed := map[string]int{}
	bullets := func(text string) (names []string) {
		_, text, _ = strings.Cut(text, "  - ") // skip the introduction, which may name listed names too
		for _, match := range regexp.MustCompile(`\[(\w+)\]`).FindAllStringSubmatch(text, -1) {
			names = append(names, match[1])
			listed[match[1]]++
		}
		return names
	}
	assert.Less(t, len(bullets(forServices)), 40, "number of names for services")
	bullets(forStores)
	for _, name := range exported {
		assert.Equal(t, 1, listed[name], "number of groups that list %s", name)
	}
}

// documented returns the overview of the package, and its exported types and functions.
func documented(t *testing.T) (overview string, names []string) {
	t.Helper()
	var files []*ast.File
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	set := token.NewFileSet()
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			file, err := parser.ParseFile(set, e.Name(), nil, parser.ParseComments)
			require.NoError(t, err)
			files = append(files, file)
		}
	}
	p, err := doc.NewFromFiles(set, files, "github.com/latchkey-dev/apikey")
	require.NoError(t, err)
	for _, f := range p.Funcs {
		names = append(names, f.Name)
	}
	for _, typ := range p.Types {
		names = append(names, typ.Name)
		for _, f := range typ.Funcs {
			names = append(names, f.Name)
		}
	}
	return p.Doc, names
}
