package clienttest

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDescriptionIsOpenAPI(t *testing.T) {
	t.Parallel()
	_, errs := newDescription(t).ValidateDocument()
	require.Empty(t, errs)
}

// TestResponsesOfManageapi runs the tests of package manageapi and compares all of their responses with
// the description. The package itself imports no validator.
func TestResponsesOfManageapi(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "exchanges.json")
	cmd := exec.Command("go", "test", "-count=1", ".")
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "GOWORK=off", "APIKEY_TEST_EXCHANGES="+file)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	d := newDescription(t)
	statuses := map[int]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Test, Method, Path string
			Status             int
			Header             http.Header
			Body               string
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		statuses[e.Status]++
		require.Empty(t, d.problemsOf(e.Method, e.Path, e.Status, e.Header, []byte(e.Body)), "%s: %s %s %d\n%s", e.Test, e.Method, e.Path, e.Status, e.Body)
	}
	require.NoError(t, lines.Err())
	for _, status := range []int{200, 201, 304, 400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 503} {
		require.NotZero(t, statuses[status], "no response with status %d", status)
	}
}

func TestDescriptionRefusesOtherResponses(t *testing.T) {
	t.Parallel()
	d := newDescription(t)
	whole := `{"revoked":1}`
	header := http.Header{"Content-Type": {"application/json"}}
	require.Empty(t, d.problemsOf("POST", "/revoke-all", 200, header, []byte(whole)))
	for name, problems := range map[string][]string{
		"a status that is not described":    d.problemsOf("POST", "/revoke-all", 418, header, []byte(whole)),
		"a missing member":                  d.problemsOf("POST", "/revoke-all", 200, header, []byte(`{}`)),
		"a member of another type":          d.problemsOf("POST", "/revoke-all", 200, header, []byte(`{"revoked":"1"}`)),
		"a member that is not described":    d.problemsOf("POST", "/revoke-all", 200, header, []byte(`{"revoked":1,"more":1}`)),
		"another media type":                d.problemsOf("POST", "/revoke-all", 200, http.Header{"Content-Type": {"text/plain"}}, []byte(whole)),
		"a header that is not described":    d.problemsOf("POST", "/revoke-all", 200, http.Header{"Content-Type": {"application/json"}, "X-Secret": {"x"}}, []byte(whole)),
		"an endpoint that is not described": d.problemsOf("POST", "/revoke", 200, header, []byte(whole)),
	} {
		require.NotEmpty(t, problems, name)
	}
}
