package program

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program prints more lines than the test reads, and then waits for an interrupt.
func TestProgramWithUnreadLinesEnds(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("main.go", []byte(`package main

import (
	"fmt"
	"os"
	"os/signal"
)

func main() {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	for i := range 100000 {
		fmt.Println("line", i)
	}
	<-interrupted
	fmt.Println("the end")
}
`), 0o600))
	require.NoError(t, os.WriteFile("go.mod", []byte("module chatty\n\ngo 1.26\n"), 0o600))
	t.Setenv("GOWORK", "off")
	t.Run("reads some lines", func(t *testing.T) {
		p := Start(t)
		assert.Equal(t, "line 7", p.Line("7"))
		assert.Equal(t, "line 17", p.Line("7"))
	})
}
