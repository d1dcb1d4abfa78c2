package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

const (
	processes        = 4
	clientsOfProcess = 64
	// fleetLimits are a rolling limit, which the fleet always uses up, and a quota, which it never uses up.
	fleetLimits = "rate=400/1s+40 quota=1000000/day"
	fleetTime   = 5 * time.Second
)

// Four processes with 64 clients each send as many requests as they can. The backend permits at most as
// many as the limit does over the whole time, and at least 99 % of them.
func TestFleetIsExact(t *testing.T) {
	if addr := os.Getenv("APIKEY_TEST_FLEET"); addr != "" {
		runProcess(t, addr)
		return
	}
	for _, program := range programs {
		t.Run(program, func(t *testing.T) {
			s := newServer(t, program, "--appendfsync", "everysec")
			before := s.now()
			var fleet []*exec.Cmd
			var outputs [processes]strings.Builder
			for i := range processes {
				cmd := exec.Command(os.Args[0], "-test.run", "^TestFleetIsExact$", "-test.v")
				cmd.Env = append(os.Environ(), "APIKEY_TEST_FLEET="+s.addr, "APIKEY_TEST_CLIENT="+fmt.Sprint(i%len(clients)))
				cmd.Stdout, cmd.Stderr = &outputs[i], &outputs[i]
				require.NoError(t, cmd.Start())
				fleet = append(fleet, cmd)
			}
			permitted := 0
			for i, cmd := range fleet {
				require.NoError(t, cmd.Wait(), outputs[i].String())
				for scan := bufio.NewScanner(strings.NewReader(outputs[i].String())); scan.Scan(); {
					if n, ok := strings.CutPrefix(scan.Text(), "permitted "); ok {
						count, err := strconv.Atoi(n)
						require.NoError(t, err)
						permitted += count
					}
				}
			}
			took := s.now().Sub(before).Seconds()
			most, least := 40+400*took, 0.99*400*fleetTime.Seconds()
			t.Logf("%d requests were permitted in %.2f s; at most %.0f, at least %.0f", permitted, took, most, least)
			require.LessOrEqual(t, float64(permitted), most)
			require.GreaterOrEqual(t, float64(permitted), least)
		})
	}
}

// runProcess is one process of the fleet. It sends requests for fleetTime.
func runProcess(t *testing.T, addr string) {
	i, err := strconv.Atoi(os.Getenv("APIKEY_TEST_CLIENT"))
	require.NoError(t, err)
	l := newLimiter(t, clients[i].connect(t, addr))
	key := keyWith(t, "shared", fleetLimits)
	var permitted atomic.Int64
	var all sync.WaitGroup
	end := time.Now().Add(fleetTime)
	for range clientsOfProcess {
		all.Go(func() {
			for time.Now().Before(end) {
				switch err := l.Take(t.Context(), key, 1); {
				case err == nil:
					permitted.Add(1)
				case !errors.Is(err, apikey.ErrLimited) && !errors.Is(err, apikey.ErrUnavailable):
					t.Errorf("Take = %v", err)
				}
			}
		})
	}
	all.Wait()
	fmt.Println("permitted", permitted.Load())
}
