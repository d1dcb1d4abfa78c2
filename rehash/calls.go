package rehash

import (
	"context"
	"sync"

	"github.com/latchkey-dev/apikey"
)

// calls runs one adoption of a key at a time.
type calls struct {
	mu      sync.Mutex
	running map[apikey.Digest]*call
}

// A call is an adoption for which requests wait.
type call struct {
	done chan struct{}
	key  *apikey.Key
	err  error
}

// do runs f, or waits for the f of another request with the same digest. f goes on if ctx ends, because
// other requests may wait for it.
func (c *calls) do(ctx context.Context, d apikey.Digest, f func(context.Context) (*apikey.Key, error)) (*apikey.Key, error) {
	c.mu.Lock()
	running := c.running[d]
	if running == nil {
		running = &call{done: make(chan struct{})}
		c.running[d] = running
		go c.run(ctx, d, running, f)
	}
	c.mu.Unlock()
	select {
	case <-running.done:
		return running.key, running.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *calls) run(ctx context.Context, d apikey.Digest, running *call, f func(context.Context) (*apikey.Key, error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	running.key, running.err = f(ctx)
	c.mu.Lock()
	delete(c.running, d)
	c.mu.Unlock()
	close(running.done)
}
