package keys

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keyjson"
)

// A secretOut writes a new secret to standard output, or to a new file that only the user can read.
type secretOut struct {
	app  *cli.App
	name string // --secret-file
	file *os.File
}

func (o *secretOut) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.name, "secret-file", "", "new file for the secret, which only you can read; standard output then gets the ID of the key")
}

// open creates the file, so that no key is made if it exists already or cannot be created. For the same reason it
// refuses a standard output that is discarded.
func (o *secretOut) open() (err error) {
	if o.name == "" && o.app.OutIsDiscarded {
		return cli.Usage(errors.New("the secret would be lost, because standard output is discarded; set --secret-file"))
	}
	if o.name == "" {
		return nil
	}
	o.file, err = os.OpenFile(o.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		err = fmt.Errorf("--secret-file: %s exists already; want a new file", o.name)
	}
	if err != nil {
		return cli.Usage(err)
	}
	return nil
}

// write writes the secret alone, or a JSON object that contains it.
func (o *secretOut) write(secret apikey.Secret, key apikey.Key) error {
	if o.file != nil {
		return o.writeFile(secret)
	}
	err := o.print(keyjson.Issued{Key: keyjson.Of(key, time.Now()), Secret: secret.Reveal()}, secret.Reveal())
	if out, ok := o.app.Out.(interface{ Sync() error }); ok && err == nil {
		err = out.Sync()
	}
	return err
}

func (o *secretOut) writeFile(secret apikey.Secret) error {
	if _, err := io.WriteString(o.file, secret.Reveal()+"\n"); err != nil {
		return err
	}
	if err := o.file.Sync(); err != nil {
		return err
	}
	return o.file.Close()
}

// finish prints the ID of a key whose secret is in the file.
func (o *secretOut) finish(key apikey.Key) error {
	if o.file == nil {
		return nil
	}
	return o.print(keyjson.Issued{Key: keyjson.Of(key, time.Now())}, key.ID)
}

// discard removes the file after a failure.
func (o *secretOut) discard() error {
	if o.file == nil {
		return nil
	}
	o.file.Close()
	return os.Remove(o.name)
}

func (o *secretOut) print(object keyjson.Issued, text string) error {
	if o.app.JSON {
		return o.app.PrintJSON(object)
	}
	_, err := io.WriteString(o.app.Out, text+"\n")
	return err
}

// newRequestID returns a random ID. Requests with the same ID make one key.
func newRequestID() string { return rand.Text() }
