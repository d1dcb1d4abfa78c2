//go:build !race

package drivertest

// raceDetector tells tests of size, in which little happens at once, to leave the field to those
// that run without it: SQLite in Go is instrumented, too, and takes many times as long.
const raceDetector = false
