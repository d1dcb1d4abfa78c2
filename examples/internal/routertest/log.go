package routertest

import (
	"bytes"
	"sync"
)

// A log is a buffer that concurrent requests write to.
type log struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}
