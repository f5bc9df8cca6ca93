//go:build race

package aspnetcore_test

// raceDetector says that the tests run several times slower.
const raceDetector = true
