package admin

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// guessing simulates attackers with a clock.
type guessing struct {
	*attempts
	clock time.Time
}

func newGuessing() *guessing {
	g := &guessing{clock: time.Date(2026, 11, 25, 7, 0, 0, 0, time.UTC)}
	g.attempts = newAttempts(func() time.Time { return g.clock })
	return g
}

// answered returns how many of the guesses are checked. client returns the address of each guess.
func (g *guessing) answered(guesses int, client func(i int) string) (n int) {
	for i := range guesses {
		if g.take(budgetsOf(client(i))) == 0 {
			n++
		}
	}
	return n
}

// Each row is an attacker that sends 5,000 wrong passwords at once.
func TestWrongPasswordsInARowAreLimited(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		client func(i int) string
		want   int
	}{
		{"from one address", func(int) string { return "192.0.2.1" }, 10},
		{"from one address in its IPv4 and IPv4-mapped form", func(i int) string { return [...]string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2] }, 10},
		{"from one address with and without NAT64", func(i int) string { return [...]string{"192.0.2.1", "64:ff9b::c000:201"}[i%2] }, 10},
		{"from one address with other zones", func(i int) string { return fmt.Sprintf("fe80::1%%eth%d", i) }, 10},
		{"from one client without an address", func(int) string { return "unknown" }, 10},
		{"from all addresses of one /64", func(i int) string { return fmt.Sprintf("2001:db8::%x", i+1) }, 10},
		{"from all networks of one /56", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%256) }, 20},
		{"from 4,096 networks of one /48", func(i int) string { return fmt.Sprintf("2001:db8:0:%x::1", i%4096<<4) }, 40},
		{"from all sites of one /32", func(i int) string { return fmt.Sprintf("2001:db8:%x::1", i) }, 80},
		{"from one IPv4 /24", func(i int) string { return fmt.Sprintf("192.0.2.%d", i%256) }, 20},
		{"from one IPv4 /16", func(i int) string { return fmt.Sprintf("192.0.%d.%d", i%256, i/256) }, 40},
		{"from all IPv4 addresses behind NAT64", func(i int) string { return fmt.Sprintf("64:ff9b::%x:%x", i+1, i) }, 300},
		{"from a botnet", func(i int) string { return fmt.Sprintf("%d.%d.0.1", 1+i%100, i/100) }, 300},
		{"from clients without addresses", func(i int) string { return fmt.Sprintf("client %d", i) }, 300},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, test.want, newGuessing().answered(5000, test.client))
		})
	}
}

// In each row an attacker sends 410 requests a second for ten minutes.
func TestAttackLocksNoOtherClientOut(t *testing.T) {
	t.Parallel()
	inTheNetwork := func(i int) string { return fmt.Sprintf("2001:db8:0:%x::%x", i%4096, i%65535+1) }
	botnet := func(i int) string { return fmt.Sprintf("%d.%d.%d.1", 1+i%200, i/200%256, i/51200%256) }
	firstTime := func(address string) []budget { return budgetsOf(address) }
	known := []budget{{"device of an administrator", addressBurst, addressEvery}}
	for _, test := range []struct {
		name          string
		attacker      func(i int) string
		administrator []budget
		most          int // guesses of the attacker that are checked
	}{
		{"from one /48, with an administrator in another /48", inTheNetwork, firstTime("2001:db8:1::1"), 40 + 20},
		{"from one /48, with an administrator on IPv4", inTheNetwork, firstTime("198.51.100.1"), 40 + 20},
		{"from a botnet, with an administrator in a known browser", botnet, known, 300 + 60},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuessing()
			guesses := 0
			for second := range 600 {
				guesses += g.answered(410, func(i int) string { return test.attacker(second*410 + i) })
				g.clock = g.clock.Add(time.Second)
			}
			assert.LessOrEqual(t, guesses, test.most)
			assert.Less(t, len(g.full), 4*test.most, "budgets in memory")
			for range addressBurst {
				assert.Zero(t, g.take(test.administrator))
			}
		})
	}
}

func TestBudgetRefills(t *testing.T) {
	t.Parallel()
	const address = "192.0.2.1"
	always := func(int) string { return address }
	for _, test := range []struct {
		name string
		then func(g *guessing)
		want int
	}{
		{"it is empty at first", func(*guessing) {}, 0},
		{"one attempt after a minute", func(g *guessing) { g.clock = g.clock.Add(addressEvery) }, 1},
		{"ten attempts after ten minutes", func(g *guessing) { g.clock = g.clock.Add(addressBurst * addressEvery) }, 10},
		{"at most ten attempts after a day", func(g *guessing) { g.clock = g.clock.Add(24 * time.Hour) }, 10},
		{"one attempt that is given back", func(g *guessing) { g.giveBack(budgetsOf(address)) }, 1},
		{"at most ten attempts that are given back", func(g *guessing) {
			for range 2 * addressBurst {
				g.giveBack(budgetsOf(address))
			}
		}, 10},
		{"one attempt a minute after the clock was set back", func(g *guessing) {
			g.clock = g.clock.Add(-24 * time.Hour)
			assert.LessOrEqual(t, g.take(budgetsOf(address)), addressEvery)
			g.clock = g.clock.Add(addressEvery)
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuessing()
			assert.Equal(t, addressBurst, g.answered(20, always))
			test.then(g)
			assert.Equal(t, test.want, g.answered(20, always))
		})
	}
}

func TestRefusedAttemptIsNotCounted(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	g.answered(5000, func(int) string { return "192.0.2.1" })
	assert.Equal(t, 10, g.answered(20, func(int) string { return "192.0.2.2" }), "out of the 20 attempts of the /24")
}

func TestFullBudgetsAreForgotten(t *testing.T) {
	t.Parallel()
	g := newGuessing()
	for range 100 {
		g.answered(5000, func(i int) string { return fmt.Sprintf("%d.%d.0.1", 1+i%100, i/100) })
		g.clock = g.clock.Add(time.Hour)
	}
	assert.LessOrEqual(t, len(g.full), 2*minSweep)
}

func TestClientIsAnAddressWithoutItsPort(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4096)
	client := func(address string) string {
		h := &dashboard{clientAddr: func(*http.Request) string { return address }}
		return h.client(&http.Request{})
	}
	for address, want := range map[string]string{
		"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", "2001:db8::1": "2001:db8::1",
		"[2001:db8::1]": "2001:db8::1", " 192.0.2.1": "192.0.2.1", // as elements of X-Forwarded-For
		"": "", "@": "@", "unix": "unix",
	} {
		assert.Equal(t, want, client(address), address)
	}
	assert.Len(t, client(long), maxClient, "the length of a client is bounded")
	assert.NotEqual(t, client(long), client(long+"y"), "long clients differ")
	assert.Equal(t, "192.0.2.1", (&dashboard{}).client(&http.Request{RemoteAddr: "192.0.2.1:80"}))
}

// underAttack lets a botnet use up the budget of all clients.
func underAttack(t *testing.T, s *site) {
	t.Helper()
	for i := range 1000 {
		s.handler.attempts.take(budgetsOf(fmt.Sprintf("%d.%d.0.1", i%250+1, i/250)))
	}
}

func TestKnownBrowserLogsInDuringAnAttack(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	known := s.visitor()
	known.login()
	known.do("POST", "/admin/logout", "")
	underAttack(t, s)
	assert.Equal(t, http.StatusTooManyRequests, s.visitor().tryLogin(testPassword), "an unknown browser")
	assert.Equal(t, http.StatusSeeOther, known.tryLogin(testPassword))
}

func TestKnownBrowserHasItsOwnBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	known := s.visitor()
	known.login()
	known.do("POST", "/admin/logout", "")
	s.handler.passwords.matches = func(string) bool { return false }
	for range addressBurst {
		assert.Equal(t, http.StatusUnauthorized, known.tryLogin("guess"))
	}
	assert.Equal(t, http.StatusTooManyRequests, known.tryLogin("guess"))
	assert.Equal(t, http.StatusUnauthorized, s.visitor().tryLogin("guess"), "an unknown browser at the same address")
}

func TestInvalidDeviceCookieIsIgnored(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	good := cookieNamed(t, v.cookies(), securePrefix+deviceCookie).Value
	hash, err := HashPassword(apikey.NewSecret(testPassword))
	require.NoError(t, err)
	other := newSite(t, Options{PasswordHash: hash})
	for name, test := range map[string]struct {
		s       *site
		cookie  string
		devices bool
	}{
		"valid":                        {s, good, true},
		"changed":                      {s, "AAAA" + good[4:], false},
		"empty":                        {s, "", false},
		"random":                       {s, rand.Text(), false},
		"another hash of the password": {other, good, false},
	} {
		r, err := http.NewRequest("POST", "/login", nil)
		require.NoError(t, err)
		r.RemoteAddr = "192.0.2.1:1"
		r.AddCookie(&http.Cookie{Name: securePrefix + deviceCookie, Value: test.cookie})
		assert.Equal(t, test.devices, len(test.s.handler.budgets(r)) == 1, name)
	}
}

func TestRightPasswordUsesNoBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.handler.passwords.matches = func(string) bool { return true }
	for range 2 * addressBurst {
		assert.Equal(t, http.StatusSeeOther, s.visitor().tryLogin(testPassword))
	}
}
