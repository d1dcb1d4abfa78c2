//go:build race

package apikey_test

// Under the race detector sync.Pool drops what it is given, so allocations are not
// those of a service.
const raceDetector = true
