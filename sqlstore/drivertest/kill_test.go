package drivertest

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

var killCycles = flag.Int("kill-cycles", 3, "how many times a writer is killed on each database")

// The environment variables that make this program a child process; see TestMain.
const (
	childEngine = "APIKEY_TEST_CHILD_ENGINE"
	childDSN    = "APIKEY_TEST_CHILD_DSN"
	childTask   = "APIKEY_TEST_CHILD_TASK" // a key of tasks
)

// tasks are the tasks of child processes.
var tasks = map[string]func(e engine, dsn string) error{"revoke": revokeUntilKilled, "migrate": migrateOnce}

// child returns a command that runs this program as a child process with a task.
func (e engine) child(t testing.TB, dsn, task string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), must(os.Executable()))
	cmd.Env = append(os.Environ(), childEngine+"="+e.name, childDSN+"="+dsn, childTask+"="+task)
	return cmd
}

func TestMain(m *testing.M) {
	mysql.SetLogger(&mysql.NopLogger{}) // because tests break connections
	for _, e := range engines {
		if e.name == os.Getenv(childEngine) {
			if err := tasks[os.Getenv(childTask)](e, os.Getenv(childDSN)); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			os.Exit(0)
		}
	}
	// The defaults, which the command line overrides. Most tests wait for disks and networks, so more of
	// them than processors run at the same time.
	flag.Set("rapid.checks", "20")
	flag.Set("test.parallel", "6")
	if raceDetector {
		fmt.Println("skipped under the race detector: all tests except", concurrentTests)
		flag.Set("test.run", concurrentTests)
	}
	os.Exit(m.Run())
}

// concurrentTests matches the tests that run under the race detector, unless the command line selects
// others. The other tests wait for servers and networks that fail; .ci/run runs them without it.
const concurrentTests = "Conformance|Cache|Concurrent|Thousand|Touch|Flush|Listen|Reminder|Notices|EveryNode"

// revokeUntilKilled creates and revokes keys, and prints the number of each key after Revoke has
// returned.
func revokeUntilKilled(e engine, dsn string) error {
	db, err := e.open(dsn)
	if err != nil {
		return err
	}
	// A transaction of the previous child can delay this one.
	store, err := sqlstore.New(db, e.dialect, sqlstore.Options{WriteTimeout: time.Minute})
	if err != nil {
		return err
	}
	for {
		n := rand.Int()
		if err := store.Create(context.Background(), digestOf(n), keyOf(n)); err != nil {
			return err
		}
		if _, err := store.Revoke(context.Background(), keyOf(n).ID); err != nil {
			return err
		}
		fmt.Println(n) // not buffered
	}
}

func TestRevocationsSurviveKill(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute})
		acknowledged := 0
		for range *killCycles {
			child := e.child(t, dsn, "revoke")
			var complaint strings.Builder
			child.Stderr = &complaint
			stdout, err := child.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, child.Start())
			lines := bufio.NewScanner(stdout)
			require.True(t, lines.Scan(), "the child revoked nothing: %s", &complaint)
			killer := time.AfterFunc(rand.N(50*time.Millisecond), func() { child.Process.Kill() })
			var revoked []int
			for more := true; more; more = lines.Scan() {
				var n int
				_, err := fmt.Sscan(lines.Text(), &n)
				require.NoError(t, err, lines.Text())
				revoked = append(revoked, n)
			}
			child.Wait()
			killer.Stop()
			require.Empty(t, complaint.String())

			for _, n := range revoked {
				key, err := store.Lookup(t.Context(), digestOf(n))
				require.NoError(t, err)
				require.ErrorIs(t, key.Check(time.Now()), apikey.ErrRevoked, "%s was acknowledged", key.ID)
			}
			acknowledged += len(revoked)
			addKeys(t, store, acknowledged, acknowledged+1) // the database accepts writes
		}
		assert.Positive(t, acknowledged)
		t.Logf("none of %d acknowledged revocations was lost", acknowledged)
		eventually(t, 10*time.Second, "the server has ended the child's transaction", func() bool {
			db := e.openDB(t, dsn)
			return queryInt(t, db, "SELECT COUNT(*) FROM apikey_audit") == queryInt(t, db, "SELECT rev FROM apikey_meta")
		})
		requireConsistentRevisions(t, e.openDB(t, dsn))
	})
}
