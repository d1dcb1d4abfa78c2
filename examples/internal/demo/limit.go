package demo

import (
	"log"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

// PerHour returns a Limiter with one limit for each key: n requests an hour. It suits one instance of a
// service; several share limit.Redis.
func PerHour(n int) *limit.Limiter {
	limits := []apikey.Limit{{Name: "hourly", Requests: int64(n), Per: time.Hour}}
	l, err := limit.New(limit.Memory(), limit.Options{Of: func(*apikey.Key) []apikey.Limit { return limits }})
	if err != nil {
		log.Fatal(err)
	}
	return l
}
