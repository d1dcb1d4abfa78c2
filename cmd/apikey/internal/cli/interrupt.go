package cli

import (
	"context"
	"io"
	"os"
	"slices"
	"time"
)

// interruptGrace is the time that a write may take after the command was interrupted.
const interruptGrace = time.Second

// An interruptible is a Writer that gives up when the command is interrupted, even while a full pipe blocks the
// write. Signals do not end this program, because it may have to revoke a key that it could not hand out.
type interruptible struct {
	ctx context.Context
	w   io.Writer
}

// Write writes p. After an interruption the write may still succeed later.
func (i *interruptible) Write(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	p = slices.Clone(p) // because the caller may reuse it after an interruption
	go func() {
		n, err := i.w.Write(p)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-i.ctx.Done():
	}
	select {
	case r := <-done:
		return r.n, r.err
	case <-time.After(interruptGrace):
		return 0, i.ctx.Err()
	}
}

// Sync writes a file to disk, so that a full disk is an error here. It does nothing for other writers.
func (i *interruptible) Sync() error {
	file, ok := i.w.(interface{ Sync() error })
	if !ok || !isRegular(i.w) {
		return nil
	}
	return file.Sync()
}

func isRegular(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}

func isNullDevice(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	null, nullErr := os.Stat(os.DevNull)
	return err == nil && nullErr == nil && os.SameFile(info, null)
}
