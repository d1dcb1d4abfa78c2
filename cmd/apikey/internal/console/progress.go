package console

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// progressDelay is the time before the line appears, and the time between two updates.
const progressDelay = 500 * time.Millisecond

// A Progress shows on one line of a terminal that work continues. The zero Progress shows nothing. Set is safe for
// concurrent use.
type Progress struct {
	mu   sync.Mutex
	text string
	stop chan struct{}
	done sync.WaitGroup
}

// StartProgress shows a text and the elapsed time until End, if w is a terminal.
func StartProgress(w io.Writer, text string) *Progress {
	p := &Progress{text: text}
	if !IsTerminal(w) {
		return p
	}
	p.stop = make(chan struct{})
	p.done.Go(func() { p.run(w) })
	return p
}

// Set changes the text that the next update shows.
func (p *Progress) Set(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = text
}

// End removes the line. Call it before other output.
func (p *Progress) End() {
	if p.stop != nil {
		close(p.stop)
		p.done.Wait()
		p.stop = nil
	}
}

func (p *Progress) run(w io.Writer) {
	const clearLine = "\r\x1b[K"
	begin, shown := time.Now(), false
	ticks := time.NewTicker(progressDelay)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
			p.mu.Lock()
			text := p.text
			p.mu.Unlock()
			fmt.Fprintf(w, "%s%s (%d s)", clearLine, Clean(text), int(time.Since(begin).Seconds()))
			shown = true
		case <-p.stop:
			if shown {
				fmt.Fprint(w, clearLine)
			}
			return
		}
	}
}
