package clienttest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestClientIsGeneratedFromDescription(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("client/generate.go")
	require.NoError(t, err)
	generator := regexp.MustCompile(`go run (\S+)`).FindSubmatch(source)
	require.NotNil(t, generator)
	file := filepath.Join(t.TempDir(), "client.gen.go")
	cmd := exec.Command("go", "run", string(generator[1]), "-config", "config.yaml", "-o", file, "../../openapi.json")
	cmd.Dir = "client"
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	have, err := os.ReadFile("client/client.gen.go")
	require.NoError(t, err)
	require.True(t, string(want) == string(have), "client/client.gen.go is out of date: run go generate ./client")
}
