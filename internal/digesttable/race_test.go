//go:build race

package digesttable

const raceDetector = true // with it, a million additions take half a minute
