package leak

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

const (
	maxBody    = 4 << 20 // bytes
	maxReports = 10_000
)

var (
	errNotReports     = errors.New("leak: the body is not a JSON array of reports")
	errTooManyReports = errors.New("leak: too many reports")
)

// A reported token is one element of a body, as the sender wrote it.
type reported struct {
	Token  text `json:"token"`
	Type   text `json:"type"`
	URL    text `json:"url"`
	Source text `json:"source"`
}

// A text is a JSON string. Another JSON value is read as "", because one unexpected value must not protect
// the other keys of a report.
type text string

func (t *text) UnmarshalJSON(value []byte) error {
	var s string
	if json.Unmarshal(value, &s) != nil {
		s = ""
	}
	*t = text(s)
	return nil
}

// parseReports returns the elements of a JSON array that have a token. It stops after maxReports
// elements, before it allocates memory for more.
func parseReports(body []byte) ([]reported, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil, errNotReports
	}
	var all []reported
	for n := 0; d.More(); n++ {
		if n == maxReports {
			return nil, errTooManyReports
		}
		var one reported
		err := d.Decode(&one)
		if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); wrongType {
			continue // the element is not an object
		} else if err != nil {
			return nil, errNotReports
		}
		if one.Token != "" {
			all = append(all, one)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, errNotReports
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errNotReports
	}
	return all, nil
}
