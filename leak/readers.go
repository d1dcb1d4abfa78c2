package leak

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	maxReaders  = 256 // requests whose bodies are read at a time, with any signature
	bodyTimeout = 10 * time.Second
)

// readers are the requests whose bodies are read. Everyone can send a slow body, so a new request ends the one that
// has been read for the longest time. The zero value is ready for use. It is safe for concurrent use.
type readers struct {
	mu  sync.Mutex
	all []*http.ResponseController // the oldest first
}

// enter gives a request bodyTimeout to send its body. The caller calls leave when the body has been read. ok is false if
// there are too many requests, and the server cannot end the oldest one.
func (q *readers) enter(w http.ResponseWriter) (leave func(), ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.all) == maxReaders {
		if q.all[0].SetReadDeadline(time.Now()) != nil {
			return nil, false
		}
		q.all = slices.Delete(q.all, 0, 1)
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(bodyTimeout)) // an error means that the server has no deadlines
	q.all = append(q.all, control)
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if i := slices.Index(q.all, control); i >= 0 {
			q.all = slices.Delete(q.all, i, i+1)
		}
	}, true
}
