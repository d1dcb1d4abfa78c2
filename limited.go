package apikey

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A LimitedError refuses a request that would exceed limits of its key. It matches [ErrLimited].
type LimitedError struct {
	// Limits are the names of the limits that the request would exceed.
	Limits []string
	// RetryAfter is the time after which the same request would be permitted, if the key makes no
	// other requests. 0 means that the request is never permitted, because it costs more than a
	// limit permits at once.
	RetryAfter time.Duration
}

// Error returns a text with the names of the limits.
func (e *LimitedError) Error() string {
	return fmt.Sprintf("%v: %s", ErrLimited, strings.Join(e.Limits, ", "))
}

// Is reports whether target is ErrLimited.
func (e *LimitedError) Is(target error) bool { return target == ErrLimited }

// writeLimited writes the response to a request that a limit refused.
func writeLimited(w http.ResponseWriter, err error) {
	var limited *LimitedError
	if !errors.As(err, &limited) {
		limited = &LimitedError{}
	}
	if limited.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(math.Ceil(limited.RetryAfter.Seconds())), 10))
	}
	body, _ := json.Marshal(limitedProblem{ // cannot fail
		Type:   "https://iana.org/assignments/http-problem-types#quota-exceeded",
		Title:  "Request cannot be satisfied as assigned quota has been exceeded",
		Status: http.StatusTooManyRequests,
		Detail: "A limit of the API key is used up.",
		Limits: append([]string{}, limited.Limits...),
	})
	w.WriteHeader(http.StatusTooManyRequests)
	w.Write(append(body, '\n'))
}

// A limitedProblem is the body of a 429 (RFC 9457).
type limitedProblem struct {
	Type   string   `json:"type"`
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Detail string   `json:"detail"`
	Limits []string `json:"violated-policies"`
}
