package main

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/document"
	"github.com/latchkey-dev/apikey/examples/internal/program"
)

func TestReadmeContainsThisProgram(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("main.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "\npackage ")
	assert.Equal(t, "package "+code, document.In(t, "README.md", "go")[0])
}

func TestReadmeSession(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0") // finds a free port
	require.NoError(t, err)
	addr := listener.Addr().String()
	listener.Close()
	p := program.Start(t, "-addr", addr)
	key, _, _ := strings.Cut(strings.TrimPrefix(p.Line("curl"), "curl -H 'X-API-Key: "), "'")
	t.Setenv("KEY", key)
	for _, step := range strings.Split("\n"+document.In(t, "README.md", "console")[0], "\n$ ")[1:] {
		command, want, _ := strings.Cut(step, "\n")
		command = strings.ReplaceAll(command, "localhost:8080", addr)
		got := program.Curl(t, command, "--retry", "10", "--retry-connrefused", "--retry-delay", "1")
		assert.Equal(t, strings.TrimSpace(want), strings.TrimSpace(got), command)
	}
}
