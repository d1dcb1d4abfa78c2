package routertest

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// runPanics checks that the log of a panic does not show the key of the request.
func runPanics(t *testing.T, s *Service) {
	for name := range panics {
		t.Run("the log of a panic shows no key: "+name, func(t *testing.T) {
			key, _ := s.Key(name, "library:read")
			before := len(s.log.String())
			s.try("/library", key)
			s.try("/library?api_key="+key, "")
			lines := s.log.String()[before:]
			assert.NotContains(t, lines, key)
			assert.NotContains(t, lines, key[len(key)-20:])
		})
	}
	t.Run("the response to a panic is 500", func(t *testing.T) {
		key, _ := s.Key("Boom", "library:read")
		status, _ := s.Get("/library", key)
		assert.Equal(t, http.StatusInternalServerError, status)
	})
}

// try sends a request. The server may close the connection instead of responding.
func (s *Service) try(path, key string) {
	if response, err := http.DefaultClient.Do(s.request(s.url, "GET", path, key)); err == nil {
		response.Body.Close()
	}
}
