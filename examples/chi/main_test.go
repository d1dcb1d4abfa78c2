package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/examples/internal/routertest"
)

func TestRouter(t *testing.T) {
	t.Parallel()
	routertest.Run(t, newRouter)
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Equal(t, "Hello, Reading room!\n", program.Curl(t, p.Line("curl")))
	assert.Equal(t, "Written for Backup job.\n", program.Curl(t, p.Line("curl")))
}
