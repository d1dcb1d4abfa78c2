//go:build race

package digesttable

const raceDetector = true // which makes a million additions take half a minute
