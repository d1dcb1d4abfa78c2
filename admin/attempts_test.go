package admin

import (
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
