package limit

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/latchkey-dev/apikey"
)

// An Eval runs a Lua script in Redis with the command EVAL, and returns the reply. For the script of this
// package the reply is a []any of int64 values. Eval must return when ctx ends. It is called concurrently.
type Eval func(ctx context.Context, script string, keys, args []string) (any, error)

//go:embed take.lua
var takeScript string

// redisTimeout is the longest time that a request waits for Redis.
const redisTimeout = time.Second

type redisBackend struct{ eval Eval }

// Redis returns a Backend that counts in Redis 7 or Valkey 8, for all processes that use the same server or
// cluster. eval calls your client; with github.com/redis/go-redis/v9 it is
//
//	limit.Redis(func(ctx context.Context, script string, keys, args []string) (any, error) {
//		return client.Eval(ctx, script, keys, args).Result()
//	})
//
// Each request is one round trip and one script, which is atomic over all limits of the request and uses
// the clock of the server. The names of the keys begin with "apikey:limit:" and contain a hash of the
// subject as a hash tag, so that a cluster keeps the limits of a subject on one node. Two services on one
// server share the balance of an owner ([Options.By]), unless eval puts the name of the service in front of
// each key.
//
// A request waits at most a second for Redis if eval respects its context. With go-redis, set
// ContextTimeoutEnabled. If the reply is lost, the request is refused, although its cost may be spent.
//
// Redis keeps the balances across a restart if it writes an append-only file ("appendonly yes"; with
// "appendfsync everysec" it may lose a second). With a maxmemory-policy other than noeviction it may forget
// balances when its memory is full, which gives keys fresh ones. A failover may lose the requests of the
// last moments before it, because replication is asynchronous.
func Redis(eval Eval) Backend { return redisBackend{eval} }

// Take implements Backend.
func (b redisBackend) Take(ctx context.Context, subject string, limits []apikey.Limit, cost int64) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	sum := sha256.Sum256([]byte(subject))
	prefix := "apikey:limit:{" + hex.EncodeToString(sum[:16]) + "}:"
	keys := make([]string, 0, MaxLimits)
	args := append(make([]string, 0, 1+4*MaxLimits), strconv.FormatInt(cost, 10))
	for i := range limits {
		l := &limits[i]
		kind := l.Calendar
		if kind == "" {
			kind = "rolling"
		}
		keys = append(keys, prefix+l.Name+":"+kind)
		args = append(args, kind, strconv.FormatInt(l.Requests, 10), strconv.FormatInt(mostAtOnce(l), 10),
			strconv.FormatInt(int64(l.Per/time.Microsecond), 10))
	}
	reply, err := b.eval(ctx, takeScript, keys, args)
	if err != nil {
		return Result{}, fmt.Errorf("limit: Redis: %w", err)
	}
	return parseReply(reply, len(limits))
}

// parseReply reads the reply of the script: 1 if the cost is permitted or 0, and for each limit the
// remaining requests, and Reset and Wait in microseconds.
func parseReply(reply any, limits int) (Result, error) {
	values, ok := reply.([]any)
	if !ok || len(values) != 1+3*limits {
		return Result{}, fmt.Errorf("limit: Redis: the reply is a %T; want %d numbers", reply, 1+3*limits)
	}
	numbers := make([]int64, len(values))
	for i, v := range values {
		if numbers[i], ok = v.(int64); !ok {
			return Result{}, fmt.Errorf("limit: Redis: value %d of the reply is a %T; want an int64", i, v)
		}
	}
	result := Result{Permitted: numbers[0] == 1, Limits: limits}
	for i := range limits {
		n := numbers[1+3*i:]
		s := &result.States[i]
		s.Remaining, s.Reset, s.Wait = n[0], micros(n[1]), micros(n[2])
		if n[2] < 0 {
			s.Wait = -1
		}
	}
	return result, nil
}

// micros converts microseconds to a time.Duration, at most maxWait.
func micros(n int64) time.Duration {
	if n > int64(maxWait/time.Microsecond) {
		return maxWait
	}
	return time.Duration(n) * time.Microsecond
}
