package main_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

const document = "../../docs/command.md"

// TestDocumentedSession runs the terminal session of the document in one shell. In the document "…" stands for any
// text.
func TestDocumentedSession(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	session := regexp.MustCompile("(?ms)^```console\n(.*?)^```$").FindSubmatch(text)
	require.NotNil(t, session)
	const mark = "--- next command"
	script := "exec 2>&1\n"
	var commands, outputs []string
	for _, step := range strings.Split("\n"+string(session[1]), "\n$ ")[1:] {
		command, output, _ := strings.Cut(step, "\n")
		commands, outputs = append(commands, command), append(outputs, strings.TrimSpace(output))
		script += "echo '" + mark + "'\n" + command + "\n"
	}
	m := newMachine(t)
	shell := exec.CommandContext(t.Context(), "sh", "-c", script)
	shell.Env, shell.Dir = m.env, t.TempDir()
	out, err := shell.CombinedOutput()
	require.NoError(t, err, string(out))
	got := strings.Split(string(out), mark)[1:]
	require.Len(t, got, len(outputs))
	for i, want := range outputs {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
		assert.Regexp(t, "^"+pattern+"$", strings.TrimSpace(got[i]), commands[i])
	}
}

func TestDocumentListsCommandsAndExitStatuses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	m := newMachine(t)
	commands := regexp.MustCompile(`(?m)^  ([a-z-]+) `).FindAllStringSubmatch(strings.Split(strings.Split(m.output("help"), "Available Commands:")[1], "Flags:")[0], -1)
	require.NotEmpty(t, commands)
	for _, command := range commands {
		if command[1] != "help" {
			assert.True(t, strings.Contains(string(text), "`apikey "+command[1]), command[1])
		}
	}
	_, statuses, _ := strings.Cut(cli.ExitHelp, "\n")
	assert.True(t, strings.Contains(string(text), strings.ReplaceAll("\n"+statuses, "\n  ", "\n")+"\n```"), cli.ExitHelp)
}
