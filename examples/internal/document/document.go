// Package document reads the code blocks of this repository's Markdown documents, for tests that
// run them or compare them with files.
package document

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Root is the root of the repository, relative to the directory of an example.
const Root = "../.."

// A Block is a fenced code block of a document.
type Block struct{ Language, Text string }

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

// Blocks returns the fenced code blocks of a file.
func Blocks(t testing.TB, file string) (blocks []Block) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range fence.FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, Block{Language: match[1], Text: match[2]})
	}
	return blocks
}

// In returns the blocks of a file that are in one language. The path of the file is relative to
// Root. The test fails if the file has no such block.
func In(t testing.TB, file, language string) (texts []string) {
	t.Helper()
	for _, block := range Blocks(t, filepath.Join(Root, file)) {
		if block.Language == language {
			texts = append(texts, block.Text)
		}
	}
	if len(texts) == 0 {
		t.Fatalf("%s has no block of %s", file, language)
	}
	return texts
}
