package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/latchkey-dev/apikey"
)

// maxInput is the size limit of an answer and of a secret on standard input, in bytes.
const maxInput = 4096

// ReadSecret reads a secret of one line and at most 4096 bytes from a stream. From a terminal it reads without echo,
// after a prompt on out. It returns the error of ctx as soon as ctx ends.
func ReadSecret(ctx context.Context, in io.Reader, out io.Writer, prompt string) (apikey.Secret, error) {
	if IsTerminal(in) {
		return askSecret(ctx, in.(*os.File), out, prompt)
	}
	text, err := await(ctx, func() (string, error) {
		text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
		return string(text), err
	})
	if err != nil {
		return apikey.Secret{}, fmt.Errorf("standard input: %w", err)
	}
	return oneLine(text)
}

func oneLine(text string) (apikey.Secret, error) {
	secret := strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r")
	switch {
	case len(text) > maxInput:
		return apikey.Secret{}, fmt.Errorf("standard input: more than %d bytes", maxInput)
	case secret == "":
		return apikey.Secret{}, errors.New("standard input: empty")
	case strings.ContainsAny(secret, "\r\n"):
		return apikey.Secret{}, errors.New("standard input: more than one line")
	}
	return apikey.NewSecret(secret), nil
}

func askSecret(ctx context.Context, terminal *os.File, out io.Writer, prompt string) (apikey.Secret, error) {
	fd := int(terminal.Fd())
	echoing, err := term.GetState(fd)
	if err != nil {
		return apikey.Secret{}, err
	}
	fmt.Fprint(out, prompt)
	secret, err := await(ctx, func() (string, error) {
		line, err := term.ReadPassword(fd)
		return string(line), err
	})
	fmt.Fprintln(out)
	if ctx.Err() != nil { // ReadPassword is still waiting, so it has not restored the echo
		err = errors.Join(err, term.Restore(fd, echoing))
	}
	if err != nil {
		return apikey.Secret{}, err
	}
	if secret == "" {
		return apikey.Secret{}, errors.New("empty input")
	}
	return apikey.NewSecret(secret), nil
}

// Ask prints a question to out and returns the line that the user types at the terminal in. It returns the error of
// ctx as soon as ctx ends.
func Ask(ctx context.Context, in io.Reader, out io.Writer, question string) (string, error) {
	fmt.Fprint(out, question)
	return await(ctx, func() (string, error) {
		var line []byte
		for b := make([]byte, 1); len(line) < maxInput; {
			if _, err := in.Read(b); err != nil {
				return "", err
			}
			if b[0] == '\n' {
				break
			}
			line = append(line, b[0])
		}
		return strings.TrimSuffix(string(line), "\r"), nil
	})
}

// await returns the result of read, or the error of ctx if that ends first. read then continues in the background.
func await(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
