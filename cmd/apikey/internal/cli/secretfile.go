package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// maxSecretFile is the size limit of a file with a secret, in bytes.
const maxSecretFile = 64 << 10

// ReadSecretFile reads a secret from a file of at most 64 KiB, without the spaces around it. Its errors are
// usage errors.
func ReadSecretFile(name string) (apikey.Secret, error) {
	file, err := os.Open(name)
	if err != nil {
		return apikey.Secret{}, Usage(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return apikey.Secret{}, Usage(err)
	}
	secret := strings.TrimSpace(string(text))
	switch {
	case len(text) > maxSecretFile:
		return apikey.Secret{}, Usage(fmt.Errorf("%s: more than %d bytes; want a file that contains only the secret", name, maxSecretFile))
	case secret == "":
		return apikey.Secret{}, Usage(fmt.Errorf("%s: empty; want a file that contains a secret", name))
	}
	return apikey.NewSecret(secret), nil
}
