package leak

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	maxKeyList = 1 << 20 // bytes
	maxKeys    = 100
)

// fetch requests the public keys. If it fails, the keyring does not change.
func (k *keyring) fetch(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.options.URL, nil)
	if err != nil {
		return err
	}
	k.mu.Lock()
	etag := k.etag
	k.mu.Unlock()
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "apikey-leak") // GitHub refuses requests without one
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	if token := k.options.Token.Reveal(); token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := k.options.Client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusNotModified && etag != "":
		k.confirm()
		return nil
	case response.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answered %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeyList+1))
	if err != nil {
		return err
	}
	if len(body) > maxKeyList {
		return fmt.Errorf("the list of keys has more than %d bytes", maxKeyList)
	}
	keys, err := parseKeys(body)
	if err != nil {
		return err
	}
	k.replace(keys, response.Header.Get("ETag"))
	return nil
}

func (k *keyring) confirm() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.confirmed = time.Now()
}

func (k *keyring) replace(keys map[string]*ecdsa.PublicKey, etag string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys, k.etag, k.confirmed = keys, etag, time.Now()
}

// parseKeys reads GitHub's list of public keys. It ignores keys that are not for ECDSA with P-256.
func parseKeys(body []byte) (map[string]*ecdsa.PublicKey, error) {
	var list struct {
		PublicKeys []struct {
			Identifier string `json:"key_identifier"`
			Key        string `json:"key"`
		} `json:"public_keys"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, errors.New("the list of keys is not valid JSON")
	}
	if len(list.PublicKeys) > maxKeys {
		return nil, fmt.Errorf("%d keys; want at most %d", len(list.PublicKeys), maxKeys)
	}
	keys := make(map[string]*ecdsa.PublicKey)
	for _, one := range list.PublicKeys {
		if key := parseKey(one.Key); key != nil && one.Identifier != "" {
			keys[one.Identifier] = key
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the list has no ECDSA key with P-256")
	}
	return keys, nil
}

// parseKey returns the ECDSA key of a text in PEM, or nil.
func parseKey(text string) *ecdsa.PublicKey {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil
	}
	return key
}
