package serve

import (
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	file := write(t, t.TempDir(), "secret", "from a file\n")
	missing := filepath.Join(t.TempDir(), "missing")
	for _, test := range []struct {
		rule    string
		args    []string
		env     map[string]string
		problem string // "" if the configuration is valid
	}{
		{"no flags", nil, nil, ""},
		{"an address without a port", []string{"--listen", "127.0.0.1"}, nil, "--listen: "},
		{"a name as address", []string{"--listen", "example.com:80"}, nil, "--listen: "},
		{"a port out of range", []string{"--listen", "127.0.0.1:65536"}, nil, "--listen: "},
		{"every address", []string{"--listen", ":8080"}, nil, ""},
		{"an address of metrics without a port", []string{"--metrics", "on"}, nil, "--metrics: "},
		{"no metrics", []string{"--metrics", "off"}, nil, ""},
		{"a certificate without its key", []string{"--tls-cert", file}, nil, "--tls-cert, --tls-key: set both"},
		{"a negative drain", []string{"--drain", "-1s"}, nil, "--drain: "},
		{"an unknown format of the log", []string{"--log", "xml"}, nil, "--log: "},
		{"rules on loopback", []string{"--rules", file}, nil, ""},
		{"rules on loopback of IPv6", []string{"--rules", file, "--listen", "[::1]:0"}, nil, ""},
		{"rules on every address without trust", []string{"--rules", file, "--listen", ":8080"}, nil, "--trust: required"},
		{"rules on an address without trust", []string{"--rules", file, "--listen", "192.0.2.1:8080"}, nil, "--trust: required"},
		{"rules on every address with trust", []string{"--rules", file, "--listen", ":8080", "--trust", "10.0.0.7/32"}, nil, ""},
		{"trust of every address", []string{"--trust", "0.0.0.0/0"}, nil, "--trust: 0.0.0.0/0 contains all addresses"},
		{"trust of an address without a length", []string{"--trust", "10.0.0.7"}, nil, "--trust: "},
		{"trust with host bits set", []string{"--trust", "10.0.0.7/24"}, nil, "--trust: 10.0.0.7/24 has host bits set; want 10.0.0.0/24"},
		{"trust of an IPv4 network in IPv6 form", []string{"--trust", "::ffff:10.0.0.7/128"}, nil, "want an IPv4 network"},
		{"a hash in a file", []string{"--password-hash-file", file}, nil, ""},
		{"a hash in a missing file", []string{"--password-hash-file", missing}, nil, "no such file"},
		{"a generated password on every address", []string{"--generate-password", "--listen", ":8080"}, nil, "--generate-password: only"},
		{"a generated password beside a hash", []string{"--generate-password", "--password-hash-file", file}, nil, "--generate-password: "},
		{"a generated password beside a hash in the environment", []string{"--generate-password"}, map[string]string{"APIKEY_PASSWORD_HASH": "canary"}, "--generate-password: "},
		{"Redis with a password in the arguments", []string{"--redis", "redis://:canary@host/0"}, nil, "--redis: want a URL without a password"},
		{"Redis with a password in the environment", nil, map[string]string{"APIKEY_REDIS": "redis://:canary@host/0"}, ""},
		{"Redis twice", []string{"--redis", "redis://host", "--redis-file", file}, nil, "--redis-file, not both"},
		{"pending keys of an unknown system", []string{"--adopt", "gitea,gitlab"}, nil, `--adopt: "gitlab"`},
		{"pending keys of Strapi without its salt", []string{"--adopt", "strapi"}, nil, "--adopt: strapi needs"},
		{"pending keys of Strapi with its salt", []string{"--adopt", "strapi", "--strapi-salt-file", file}, nil, ""},
		{"a flag in the environment", nil, map[string]string{"APIKEY_DRAIN": "soon"}, "$APIKEY_DRAIN"},
		{"an argument before the environment", []string{"--drain", "1s"}, map[string]string{"APIKEY_DRAIN": "soon"}, ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			c := &config{}
			cmd := command(cli.New(cli.Streams{}, nil), c)
			require.NoError(t, cmd.ParseFlags(test.args))
			getenv := func(name string) string { return test.env[name] }
			err := c.environment(cmd.Flags(), getenv)
			if err == nil {
				err = c.check(getenv)
			}
			if test.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.problem)
			assert.NotContains(t, err.Error(), "canary", "a secret")
		})
	}
}

func TestTrustOnLoopbackIsThisMachine(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]int{"127.0.0.1:0": 2, "localhost:0": 2, "[::1]:0": 2, ":0": 0, "192.0.2.1:0": 0} {
		c := &config{listen: listen, metrics: "off", logFormat: "text"}
		require.NoError(t, c.check(func(string) string { return "" }))
		assert.Len(t, c.trusted, want, listen)
	}
}

func TestSystemdLearnsWhenTheServerIsReadyAndStops(t *testing.T) {
	t.Parallel()
	db := newSQLite(t) // whose directory has a short path, as a socket needs
	socket := filepath.Join(filepath.Dir(db), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	read := func() string {
		state := make([]byte, 100)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		n, err := conn.Read(state)
		require.NoError(t, err)
		return string(state[:n])
	}
	p := startServer(t, []string{"NOTIFY_SOCKET=" + socket}, "--database", db, "--migrate")
	assert.Equal(t, "READY=1", read())
	assert.Equal(t, 200, p.get(t, "/livez").status, "the server listens when it says that it is ready")
	p.stop(t)
	assert.Equal(t, "STOPPING=1", read())
	notifier("")("READY=1")
	notifier(filepath.Join(t.TempDir(), "missing"))("READY=1")
}
