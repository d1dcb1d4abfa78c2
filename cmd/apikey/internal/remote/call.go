package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// maxBody is the size limit of a response, in bytes. A page of 500 keys with the longest fields is smaller.
const maxBody = 16 << 20

// A call is a request to the API. Only method and path are required.
type call struct {
	method, path string
	query        url.Values
	body         any           // encoded as JSON
	ifMatch      string        // an entity tag
	requestID    string        // the Idempotency-Key
	timeout      time.Duration // 0 means the constant timeout
	// reads reports that a POST changes nothing.
	reads bool
}

// do sends a request and decodes the response into result. The error wraps apikey.ErrUncertain if the server may have
// made a change whose response was lost.
func (s *Session) do(ctx context.Context, c call, result any) error {
	if c.timeout == 0 {
		c.timeout = timeout
	}
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var connected atomic.Bool
	limited = httptrace.WithClientTrace(limited, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }})
	request, err := s.request(limited, c)
	if err != nil {
		return err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return lost(ctx, c.changes() && connected.Load(), err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return lost(ctx, c.changes(), err)
	case len(body) > maxBody:
		return lost(ctx, c.changes(), fmt.Errorf("the response has more than %d bytes", maxBody))
	case response.StatusCode < 200 || response.StatusCode > 299:
		return failure(response, body, c.changes())
	}
	if err := json.Unmarshal(body, result); err != nil {
		return lost(ctx, c.changes(), fmt.Errorf("the response is not from a management API: %w", err))
	}
	return nil
}

// changes reports whether the request may change something.
func (c call) changes() bool { return c.method != http.MethodGet && !c.reads }

func (s *Session) request(ctx context.Context, c call) (*http.Request, error) {
	var body io.Reader = http.NoBody
	if c.body != nil {
		text, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	target := s.base.JoinPath(c.path)
	target.RawQuery = c.query.Encode()
	request, err := http.NewRequestWithContext(ctx, c.method, target.String(), body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("X-API-Key", s.key.Reveal())
	request.Header.Set("User-Agent", "apikey")
	request.Header.Set("Accept", "application/json, application/problem+json")
	switch {
	case c.body != nil && c.method == http.MethodPatch:
		request.Header.Set("Content-Type", "application/merge-patch+json")
	case c.body != nil:
		request.Header.Set("Content-Type", "application/json")
	}
	if c.ifMatch != "" {
		request.Header.Set("If-Match", c.ifMatch)
	}
	if c.requestID != "" {
		request.Header.Set("Idempotency-Key", c.requestID)
	}
	return request, nil
}

// lost returns the error of a request whose response was lost. changed reports whether the server may have
// changed something.
func lost(ctx context.Context, changed bool, err error) error {
	switch {
	case changed:
		return fmt.Errorf("remote: %w: %w", apikey.ErrUncertain, err)
	case ctx.Err() != nil:
		return fmt.Errorf("remote: %w", ctx.Err())
	}
	return fmt.Errorf("remote: %w: %w", apikey.ErrUnavailable, err)
}
