package keys_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOutput runs the sessions in testdata on SQLite. A line that begins with "$ " is a command, and the lines after it
// are its output. Lines of standard error begin with "! ". The flag -update rewrites the outputs.
func TestOutput(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.golden")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".golden"), func(t *testing.T) {
			t.Parallel()
			got := replay(t, onFile(t), file)
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
			}
			checkSession(t, file, got)
		})
	}
}

// checkSession fails the test at the first line in which a session differs from a file.
func checkSession(t *testing.T, file, got string) {
	t.Helper()
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	wanted, lines := strings.Split(string(want), "\n"), strings.Split(got, "\n")
	for i := range min(len(wanted), len(lines)) {
		require.Equal(t, wanted[i], lines[i], "line %d of %s, after:\n%s", i+1, file, strings.Join(wanted[max(0, i-3):i], "\n"))
	}
	require.Len(t, lines, len(wanted), file)
}

// replay runs the commands of a session and returns it with their output.
func replay(t testing.TB, m *machine, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	names := newNames(t.TempDir())
	names.real["$DATABASE"] = m.env["APIKEY_DATABASE"]
	var session strings.Builder
	for line := range strings.Lines(string(text)) {
		command, found := strings.CutPrefix(strings.TrimSpace(line), "$ apikey ")
		switch {
		case strings.HasPrefix(line, "#"):
			session.WriteString(line)
			continue
		case !found:
			continue
		}
		words, stdin := splitCommand(names.expand(command))
		r := m.runWith(context.Background(), stdin, words...)
		fmt.Fprintf(&session, "$ apikey %s\n%s", command, names.abbreviate(r.stdout))
		for errLine := range strings.Lines(names.abbreviate(r.stderr)) {
			session.WriteString("! " + errLine)
		}
		if r.status != 0 {
			fmt.Fprintf(&session, "! exit status %d\n", r.status)
		}
	}
	return session.String()
}

var word = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)

// splitCommand splits a command into its words. The text after "<" is its input.
func splitCommand(command string) (words []string, stdin string) {
	command, stdin, _ = strings.Cut(command, " < ")
	for _, w := range word.FindAllString(command, -1) {
		if w[0] == '\'' || w[0] == '"' {
			w = w[1 : len(w)-1]
		}
		words = append(words, w)
	}
	return words, stdin
}

// names abbreviates the values that differ in each run. It pads the values that a table may align.
type names struct {
	real map[string]string // by abbreviation
	seen map[string]string // the abbreviation of a value
	dir  string
	now  time.Time
}

func newNames(dir string) *names {
	return &names{map[string]string{}, map[string]string{}, dir, time.Now()}
}

var (
	aSecret  = regexp.MustCompile(`\bak_[0-9A-Za-z]{36}\b`)
	aVersion = regexp.MustCompile(`\b[0-9a-f]{16}\b`)
	anID     = regexp.MustCompile(`(\b|moved_)[0-9A-Za-z]{16}\b`)
	aHint    = regexp.MustCompile(`ak_…[0-9A-Za-z]{4}`)
	aTime    = regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]+\.[0-9]+Z`)
	aMinute  = regexp.MustCompile(`\b20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}`)
	anAlias  = regexp.MustCompile(`\b(SECRET|VERSION|ID)-[0-9]+`)
	aCursor  = regexp.MustCompile(`(--cursor |"next":")[0-9A-Za-z_-]+`)
)

// expand replaces the abbreviations in a command.
func (n *names) expand(text string) string {
	text = strings.ReplaceAll(text, "$DIR", n.dir)
	return anAlias.ReplaceAllStringFunc(text, func(alias string) string {
		if real, ok := n.real[alias]; ok {
			return real
		}
		return alias
	})
}

func (n *names) abbreviate(text string) string {
	text = strings.ReplaceAll(text, n.dir, "$DIR")
	if file := n.real["$DATABASE"]; file != "" {
		text = strings.ReplaceAll(text, file, "$DATABASE")
	}
	text = aCursor.ReplaceAllString(text, "${1}CURSOR")
	text = aHint.ReplaceAllString(text, "ak_…hint")
	text = aSecret.ReplaceAllStringFunc(text, func(s string) string { return n.alias("SECRET", s) })
	text = aVersion.ReplaceAllStringFunc(text, func(s string) string { return n.alias("VERSION", s) })
	text = anID.ReplaceAllStringFunc(text, func(s string) string {
		if strings.ToLower(s) == s && !strings.ContainsAny(s, "0123456789") {
			return s // an English word
		}
		id, moved := strings.CutPrefix(s, "moved_")
		if moved {
			return "moved_" + n.alias("ID", id)
		}
		return padded(n.alias("ID", id))
	})
	text = aTime.ReplaceAllStringFunc(text, func(s string) string { return n.moment(time.RFC3339Nano, s) })
	return aMinute.ReplaceAllStringFunc(text, func(s string) string { return padded(n.moment("2006-01-02 15:04", s)) })
}

func padded(s string) string { return s + strings.Repeat("-", max(0, 16-len(s))) }

func (n *names) alias(kind, value string) string {
	if _, ok := n.seen[value]; !ok {
		number := 1
		for n.real[fmt.Sprintf("%s-%d", kind, number)] != "" {
			number++
		}
		n.seen[value] = fmt.Sprintf("%s-%d", kind, number)
		n.real[n.seen[value]] = value
	}
	return n.seen[value]
}

// moment returns a time as an offset from the start of the run, such as now+90d0h. It returns times more than ten years
// later unchanged.
func (n *names) moment(form, text string) string {
	t, err := time.Parse(form, text)
	if err != nil || t.Sub(n.now) > 10*365*24*time.Hour {
		return text
	}
	d := t.Sub(n.now).Round(time.Hour)
	if d == 0 {
		return "now"
	}
	return fmt.Sprintf("now%+dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
