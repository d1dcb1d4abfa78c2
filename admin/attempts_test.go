package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAttempts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := newAttempts(func() time.Time { return now })
	for range maxAttempts {
		assert.Zero(t, a.take("192.0.2.1"))
	}
	assert.Equal(t, attemptEvery, a.take("192.0.2.1"), "in a row")
	assert.Zero(t, a.take("192.0.2.2"), "of another address")
	assert.Positive(t, a.take("::ffff:192.0.2.1"), "the same, as IPv6 writes it")
	now = now.Add(attemptEvery)
	assert.Zero(t, a.take("192.0.2.1"), "one more, after a while")
	assert.Positive(t, a.take("192.0.2.1"))
	a.succeeded("192.0.2.1")
	assert.Zero(t, a.take("192.0.2.1"), "after the right password")
	for i := range maxAttempts {
		assert.Zero(t, a.take("2001:db8::"+string(rune('1'+i%9))))
	}
	assert.Positive(t, a.take("2001:db8::ffff"), "all addresses of one subscriber")
}

func TestMoreAddressesThanAreRememberedShareOneAllowance(t *testing.T) {
	t.Parallel()
	now := time.Now()
	a := newAttempts(func() time.Time { return now })
	address := func(i int) string { return fmt.Sprintf("10.0.%d.%d", i/256, i%256) }
	for i := range maxAddresses {
		assert.Zero(t, a.take(address(i)))
	}
	for i := range maxAttempts {
		assert.Zero(t, a.take(address(maxAddresses+i)))
	}
	assert.Positive(t, a.take(address(maxAddresses+maxAttempts)), "what the others share is used up")
	assert.LessOrEqual(t, len(a.free), maxAddresses+1)
	assert.Zero(t, a.take(address(0)), "who is remembered has an own one")
	now = now.Add(fullAllowance)
	assert.Zero(t, a.take(address(maxAddresses+maxAttempts)), "room again when the first have their full allowance")
	assert.Len(t, a.free, 1)
}

func TestAClientIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 4096)
	client := func(address string) string {
		h := &Handler{clientAddr: func(*http.Request) string { return address }}
		return h.client(&http.Request{})
	}
	assert.Len(t, client(long), maxClient)
	assert.NotEqual(t, client(long), client(long+"y"), "they are still told apart")
	assert.Equal(t, "192.0.2.1", client("192.0.2.1"))
}
