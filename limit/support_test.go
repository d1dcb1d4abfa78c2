package limit

import "time"

// NewTestMemory returns a MemoryBackend whose clocks are those of the caller.
func NewTestMemory(monotonic func() time.Duration, wall func() time.Time) *MemoryBackend {
	b := Memory()
	b.now = func() moment { return moment{micros: monotonic().Microseconds(), wall: wall().UTC()} }
	return b
}

// MaxBalances is the most balances of a MemoryBackend.
const MaxBalances = shards * maxPerShard
