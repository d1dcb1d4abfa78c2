package main

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }

func TestPrintedCommand(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "localhost:0") // finds a free port
	require.NoError(t, err)
	addr := listener.Addr().String()
	listener.Close()
	p := program.Start(t, "-addr", addr)
	line := p.Line("curl")
	retry := []string{"--retry", "10", "--retry-connrefused", "--retry-delay", "1"} // the program prints the command before it listens
	assert.Equal(t, "Hello, Backup job!\n", program.Curl(t, line, retry...))
	command, _, _ := strings.Cut(line, "'")
	assert.Contains(t, program.Curl(t, command+"'X-API-Key: ak_wrong' http://"+addr+"/"), `"status":401`)
}
