//go:build long && unix

package drivertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// version1 is the last commit whose programs know only version 1 of the schema.
const version1 = "6a7c73d3c644be92758b9a43f69f17e2af79fb1e"

// An oldProgram is the example media server of the commit version1, on one database.
type oldProgram struct {
	binary, dsn string
	server      *exec.Cmd
	url         string
	log         bytes.Buffer // of the server; read it after the server has ended
}

// buildOldProgram builds the old program from the history of this repository.
func buildOldProgram(t *testing.T) (binary string) {
	t.Helper()
	source, root := t.TempDir(), filepath.Join("..", "..")
	archive := exec.CommandContext(t.Context(), "git", "-C", root, "archive", "--format=tar", version1)
	var tar, stderr bytes.Buffer
	archive.Stdout, archive.Stderr = &tar, &stderr
	if err := archive.Run(); err != nil {
		skip(t, fmt.Sprintf("commit %s is missing, as in a shallow clone: %v %s", version1, err, &stderr))
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", source)
	unpack.Stdin = &tar
	out, err := unpack.CombinedOutput()
	require.NoError(t, err, "%s", out)
	binary = filepath.Join(t.TempDir(), "mediaserver")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./mediaserver")
	build.Dir = filepath.Join(source, "examples")
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err = build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return binary
}

// command runs the program as a command.
func (p *oldProgram) command(args ...string) (out string, err error) {
	b, err := exec.Command(p.binary, append([]string{"-db", p.dsn}, args...)...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, b)
	}
	return string(b), err
}

var issuedKey = regexp.MustCompile(`(?s)^(\S+) is the ID of .*\n\n  (\S+)\n`)

// issue issues a key through the command line.
func (p *oldProgram) issue(name string, scopes ...string) (id string, secret apikey.Secret, err error) {
	out, err := p.command("-issue", name, "-scopes", strings.Join(scopes, ","))
	if err != nil {
		return "", apikey.Secret{}, err
	}
	issued := issuedKey.FindStringSubmatch(out)
	if issued == nil {
		return "", apikey.Secret{}, fmt.Errorf("no key in %q", out)
	}
	return issued[1], apikey.NewSecret(issued[2]), nil
}

// serve starts the program as a server.
func (p *oldProgram) serve(t *testing.T) {
	t.Helper()
	p.server = exec.Command(p.binary, "-db", p.dsn, "-addr", "127.0.0.1:0")
	p.server.Stderr = &p.log
	stdout, err := p.server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.server.Start())
	t.Cleanup(func() { p.server.Process.Kill() })
	lines := bufio.NewScanner(stdout)
	for p.url == "" {
		require.True(t, lines.Scan(), "the server ended: %s", &p.log)
		if _, after, found := strings.Cut(lines.Text(), "Listening on "); found {
			p.url, _, _ = strings.Cut(after, ",")
		}
	}
	go io.Copy(io.Discard, stdout)
	eventually(t, 30*time.Second, "the old program answers", func() bool {
		r, err := http.Get(p.url + "/System/Info/Public")
		if err == nil {
			r.Body.Close()
		}
		return err == nil && r.StatusCode == http.StatusOK
	})
}

// stop shuts the server down as a service manager would.
func (p *oldProgram) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.server.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.server.Wait(), &p.log)
}

// request makes a request with a key.
func (p *oldProgram) request(method, path string, secret apikey.Secret) (status int, body []byte, err error) {
	r, err := http.NewRequest(method, p.url+path, nil)
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("X-Emby-Token", secret.Reveal())
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// status returns the HTTP status of a request with this key.
func (p *oldProgram) status(secret apikey.Secret) (int, error) {
	status, _, err := p.request("GET", "/System/Info", secret)
	return status, err
}

// create issues a key through the server.
func (p *oldProgram) create(manager apikey.Secret, name string) (apikey.Secret, error) {
	status, body, err := p.request("POST", "/Auth/Keys?App="+url.QueryEscape(name), manager)
	if err != nil || status != http.StatusOK {
		return apikey.Secret{}, fmt.Errorf("status %d %s %w", status, body, err)
	}
	var item struct{ AccessToken string }
	err = json.Unmarshal(body, &item)
	return apikey.NewSecret(item.AccessToken), err
}

// revoke revokes a key through the server.
func (p *oldProgram) revoke(manager, secret apikey.Secret) error {
	status, body, err := p.request("DELETE", "/Auth/Keys/"+secret.Reveal(), manager)
	if err != nil || status != http.StatusNoContent {
		return fmt.Errorf("status %d %s %w", status, body, err)
	}
	return nil
}
