package document

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const root = "../../.."

// documents returns the README and the pages in docs.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	return append(pages, filepath.Join(root, "README.md"))
}

// sourceFiles maps the language of a block to the names of the files that must contain the block.
// Tests compile, parse or run these files. The test of an example checks its terminal sessions.
var sourceFiles = map[string][]string{
	"go":         {"*.go"},
	"sql":        {"*.go", "*.sql"},
	"nginx":      {"*.conf"},
	"haproxy":    {"*.cfg"},
	"caddyfile":  {"Caddyfile"},
	"dockerfile": {"Dockerfile"},
	"yaml":       {"*.yaml"},
	"python":     {"*.py"},
	"javascript": {"*.js"},
	"ini":        {"*.ini", "*.service"},
	"sh":         {"*.sh"},
	"console":    nil,
	"":           nil,
}

func TestBlocksComeFromTestedFiles(t *testing.T) {
	t.Parallel()
	sources := map[string]string{} // by language
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for language, files := range sourceFiles {
			if slices.ContainsFunc(files, func(name string) bool { ok, _ := filepath.Match(name, filepath.Base(path)); return ok }) {
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				sources[language] += unindented(string(text))
			}
		}
		return nil
	}))
	for _, file := range documents(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, block := range Blocks(t, file) {
				files, known := sourceFiles[block.Language]
				if !assert.True(t, known, "unknown language %q", block.Language) || files == nil {
					continue
				}
				assert.True(t, strings.Contains(sources[block.Language], unindented(block.Text)),
					"block is not in any file %v:\n%s", files, block.Text)
			}
		})
	}
}

var margins = regexp.MustCompile(`(?m)^[\t ]+|[\t ]+$`)

// unindented removes indentation, which may differ between a document and a file.
func unindented(s string) string { return margins.ReplaceAllString(s, "") }

func TestLinksLeadToFiles(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, file := range documents(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, match := range link.FindAllStringSubmatch(string(text), -1) {
				if !strings.Contains(match[1], "://") {
					assert.FileExists(t, firstFile(filepath.Join(filepath.Dir(file), match[1])), match[1])
				}
			}
		})
	}
}

// firstFile returns a file in path if path is a directory. Otherwise it returns path.
func firstFile(path string) string {
	entries, _ := os.ReadDir(path)
	for _, entry := range entries {
		if !entry.IsDir() {
			return filepath.Join(path, entry.Name())
		}
	}
	return path
}

func TestReadmeLinksEveryDocument(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	for _, file := range documents(t) {
		if name := filepath.Base(file); name != "README.md" {
			assert.Contains(t, string(readme), "](docs/"+name+")", name)
		}
	}
}
