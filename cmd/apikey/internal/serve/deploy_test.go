package serve

import (
	"bytes"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/routes"
)

const deploy = "../../deploy/"

// instructions returns the name and the arguments of each instruction of the Dockerfile.
func instructions() (found [][2]string, err error) {
	text, err := os.ReadFile("../../Dockerfile")
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			name, rest, _ := strings.Cut(line, " ")
			found = append(found, [2]string{name, rest})
		}
	}
	return found, err
}

// build builds the command as the Dockerfile does.
func build(binary string) error {
	all, err := instructions()
	if err != nil {
		return err
	}
	for _, instruction := range all {
		if instruction[0] == "RUN" {
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(instruction[1], "-o /apikey", "-o "+binary))
			cmd.Dir, cmd.Stderr = "../..", os.Stderr
			return cmd.Run()
		}
	}
	return os.ErrNotExist
}

func TestImageContainsOnlyAStaticProgram(t *testing.T) {
	t.Parallel()
	all, err := instructions()
	require.NoError(t, err)
	last := 0
	for i, instruction := range all {
		if instruction[0] == "FROM" {
			last = i
		}
	}
	assert.Equal(t, [][2]string{
		{"FROM", "scratch"},
		{"COPY", "--from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/"},
		{"COPY", "--from=build /apikey /apikey"},
		{"USER", "65532:65532"},
		{"EXPOSE", "8080 9464"},
		{"ENTRYPOINT", `["/apikey"]`},
		{"CMD", `["serve"]`},
	}, all[last:])
	text, err := os.ReadFile(binary(t))
	require.NoError(t, err)
	assert.False(t, bytes.Contains(text, []byte("ld-linux")), "the program needs ld-linux, which scratch does not contain")
}

func TestUnitIsValidAndConfined(t *testing.T) {
	t.Parallel()
	analyze := lookPath(t, "systemd-analyze")
	text, err := os.ReadFile(deploy + "apikey.service")
	require.NoError(t, err)
	unit := write(t, t.TempDir(), "apikey.service", strings.Replace(string(text), "/usr/local/bin/apikey", binary(t), 1))
	out, err := exec.Command(analyze, "verify", unit).CombinedOutput()
	assert.NoError(t, err, "%s", out)
	assert.Empty(t, string(out))
	out, err = exec.Command(analyze, "security", "--offline=yes", "--threshold=15", unit).CombinedOutput()
	assert.NoError(t, err, "exposure above 1.5:\n%s", out)
	t.Run("the program has the flags", func(t *testing.T) {
		for line := range strings.Lines(string(text)) {
			if command, found := strings.CutPrefix(line, "ExecStart=/usr/local/bin/apikey serve "); found {
				assert.NoError(t, Command(cli.New(cli.Streams{}, nil)).ParseFlags(strings.Fields(command)))
				return
			}
		}
		t.Fatal("no ExecStart")
	})
}

func TestManifestStartsTheProgram(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(deploy + "kubernetes.yaml")
	require.NoError(t, err)
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Grace      int64 `yaml:"terminationGracePeriodSeconds"`
					Containers []struct {
						Args []string
						Env  []struct{ Name, Value string }
					}
				}
			}
		}
	}
	var rules struct{ Data map[string]string }
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	require.NoError(t, decoder.Decode(&deployment))
	require.NoError(t, decoder.Decode(&rules))
	pod := deployment.Spec.Template.Spec
	c := pod.Containers[0]
	variables := map[string]string{}
	for _, variable := range c.Env {
		variables[variable.Name] = write(t, t.TempDir(), "secret", "redis://127.0.0.1:6379/0")
		assert.True(t, strings.HasPrefix(variable.Value, "/secrets/"), variable.Name)
	}
	parsed := &config{}
	cmd := command(cli.New(cli.Streams{}, nil), parsed)
	require.Equal(t, "serve", c.Args[0])
	require.NoError(t, cmd.ParseFlags(c.Args[1:]))
	read := map[string]bool{"APIKEY_DATABASE_FILE": true, "APIKEY_PEPPER_FILES": true} // by all commands
	getenv := func(name string) string { read[name] = true; return variables[name] }
	require.NoError(t, parsed.environment(cmd.Flags(), getenv))
	require.NoError(t, parsed.check(getenv))
	for name := range variables {
		assert.True(t, read[name], "the program does not read %s", name)
	}
	assert.NotEmpty(t, parsed.redisURL.Reveal())
	assert.NotEmpty(t, parsed.passwordHash.Reveal())
	assert.Greater(t, time.Duration(pod.Grace)*time.Second, parsed.drain+grace+5*time.Second)
	_, err = routes.Parse([]byte(rules.Data["rules.yaml"]))
	assert.NoError(t, err)
	assert.True(t, slices.Contains(c.Args, "--rules=/rules/rules.yaml"))
}
