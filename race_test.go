//go:build race

package apikey_test

// raceDetector reports whether the race detector is on. It makes sync.Pool drop values, which changes
// allocations.
const raceDetector = true
