package rehash

import (
	"context"
	"fmt"
	"sync"

	"github.com/latchkey-dev/apikey"
)

// maxCalls bounds the goroutines. Otherwise requests that are cancelled while the store is slow would leave
// more and more of them behind.
const maxCalls = 1000

// calls runs at most one adoption of each digest at a time.
type calls struct {
	mu      sync.Mutex
	running map[apikey.Digest]*call
}

// A call is a running adoption, for whose result requests wait.
type call struct {
	done chan struct{}
	key  *apikey.Key
	err  error
}

// do runs f, or waits for the f of another request with the same digest. f continues if ctx ends, because
// other requests may wait for it.
func (c *calls) do(ctx context.Context, d apikey.Digest, f func(context.Context) (*apikey.Key, error)) (*apikey.Key, error) {
	c.mu.Lock()
	running := c.running[d]
	if running == nil && len(c.running) >= maxCalls {
		c.mu.Unlock()
		return nil, fmt.Errorf("rehash: %w: %d adoptions are running", apikey.ErrUnavailable, maxCalls)
	}
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
	defer func() {
		if p := recover(); p != nil {
			// A panic would end the program, because no server recovers from it in this goroutine.
			running.key, running.err = nil, fmt.Errorf("rehash: %w: the store panicked", apikey.ErrUnavailable)
		}
		c.mu.Lock()
		delete(c.running, d)
		c.mu.Unlock()
		close(running.done)
	}()
	running.key, running.err = f(ctx)
}
