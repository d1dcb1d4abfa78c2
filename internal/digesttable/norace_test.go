//go:build !race

package digesttable

const raceDetector = false
