//go:build !race

package drivertest

// raceDetector makes tests with large tables and little concurrency skip. The race detector also
// instruments SQLite in Go, which is then many times slower.
const raceDetector = false
