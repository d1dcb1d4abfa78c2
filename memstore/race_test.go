//go:build race

package memstore

const raceDetector = true // which makes everything some ten times slower
