package admin

import (
	"context"
	"sync"
)

// maxOnce is how many forms are remembered. A form that was forgotten could be sent again, by
// the administrator who has it.
const maxOnce = 10_000

// once lets each form do its work one time, however often it is sent: a double click on Create
// makes one key. It knows of the forms that this process was sent.
type once struct {
	mu    sync.Mutex
	forms map[string]*formUse
	order []string // of forms, the oldest first
}

type formUse struct {
	done chan struct{} // closed when the first has finished
	id   string        // of the key it made
}

func newOnce() *once { return &once{forms: map[string]*formUse{}} }

// do calls work if the form with this nonce has not been used, and returns the ID that work
// returned, or the one it returned the first time. Who comes second waits for the first, and
// works if the first has failed.
func (o *once) do(ctx context.Context, nonce string, work func() (id string, err error)) (id string, first bool, err error) {
	for {
		use, mine := o.claim(nonce)
		if mine {
			return o.run(nonce, use, work)
		}
		select {
		case <-use.done:
		case <-ctx.Done():
			return "", false, ctx.Err()
		}
		if use.id != "" {
			return use.id, false, nil
		}
	}
}

func (o *once) run(nonce string, use *formUse, work func() (string, error)) (id string, first bool, err error) {
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if id == "" { // failed, or panicked
			delete(o.forms, nonce)
		}
		use.id = id
		close(use.done)
	}()
	id, err = work()
	return id, true, err
}

func (o *once) claim(nonce string) (use *formUse, mine bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if use, ok := o.forms[nonce]; ok {
		return use, false
	}
	if len(o.order) >= maxOnce {
		delete(o.forms, o.order[0])
		o.order = o.order[1:]
	}
	use = &formUse{done: make(chan struct{})}
	o.forms[nonce] = use
	o.order = append(o.order, nonce)
	return use, true
}
