package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey/manage"
)

// A Webhook posts notices to a URL, signed as Standard Webhooks 1.0 describes.
type Webhook struct {
	URL    string
	Secret string // "whsec_" and 24 to 64 random bytes in base64
}

// A message is the body of a webhook. It has only the fields of a key that the receiver needs.
type message struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // when the notice became due; the same in a repetition
	Data      data      `json:"data"`
}

type data struct {
	Key        string    `json:"key"`
	Name       string    `json:"name"`
	Owner      string    `json:"owner,omitzero"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	Successor  string    `json:"successor,omitzero"`
}

// withoutRedirects does not follow redirects, because only the owner of the URL may get a signed notice.
var withoutRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// Send posts a notice. A status other than 2xx is an error.
func (h Webhook) Send(ctx context.Context, n manage.Notice) error {
	body, err := json.Marshal(message{"key." + string(n.Kind), n.At.UTC(), data{
		n.Key.ID, n.Key.Name, n.Key.Owner, n.Key.ExpiresAt, n.Key.LastUsedAt, n.Successor,
	}})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	now := time.Now()
	signature, err := h.sign(n.ID, now, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("webhook-id", n.ID)
	r.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	response, err := withoutRedirects.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("webhook %s: %s", r.URL.Redacted(), response.Status)
	}
	return nil
}

// sign returns the signature of a message: HMAC-SHA256 of its ID, timestamp and body.
func (h Webhook) sign(id string, at time.Time, body []byte) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.Secret, "whsec_"))
	if err != nil || len(key) < 24 {
		return "", errors.New("webhook secret: want whsec_ and at least 24 bytes in base64")
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", id, at.Unix(), body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
