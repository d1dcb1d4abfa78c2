package main

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

const root = "../.."

// blocks returns the fenced blocks of the README in one language.
func blocks(t *testing.T, language string) (found []string) {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(readme), -1) {
		found = append(found, match[1])
	}
	require.NotEmpty(t, found)
	return found
}

func TestTheProgramInTheReadmeIsThisOne(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "\npackage ")
	assert.Equal(t, "package "+code, blocks(t, "go")[0])
}

// What is in a Go file is compiled by whatever builds or tests it.
func TestEachSnippetInTheReadmeIsInAGoFile(t *testing.T) {
	t.Parallel()
	unindented := func(s string) string {
		return regexp.MustCompile(`(?m)^[\t ]+|[\t ]+$`).ReplaceAllString(s, "")
	}
	var sources strings.Builder
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" {
			return err
		}
		b, err := os.ReadFile(path)
		sources.Write(b)
		return err
	}))
	compiled := unindented(sources.String())
	for _, snippet := range blocks(t, "go") {
		assert.True(t, strings.Contains(compiled, unindented(snippet)), "nowhere in a Go file:\n%s", snippet)
	}
}

func TestTheSessionInTheReadmeIsReal(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0") // for a port that is free
	require.NoError(t, err)
	addr := listener.Addr().String()
	listener.Close()
	p := program.Start(t, "-addr", addr)
	key, _, _ := strings.Cut(strings.TrimPrefix(p.Line("curl"), "curl -H 'X-API-Key: "), "'")
	t.Setenv("KEY", key)
	for _, step := range strings.Split("\n"+blocks(t, "console")[0], "\n$ ")[1:] {
		command, want, _ := strings.Cut(step, "\n")
		command = strings.ReplaceAll(command, "localhost:8080", addr)
		got := program.Curl(t, command, "--retry", "10", "--retry-connrefused", "--retry-delay", "1")
		assert.Equal(t, strings.TrimSpace(want), strings.TrimSpace(got), command)
	}
}
