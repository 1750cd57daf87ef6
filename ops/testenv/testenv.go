// Package testenv gives tests the real services: a database of their own, a bus of their own, a cache of their own.
//
// What flows in: a *testing.T. What flows out: addresses of running services, which end with the test. A package that
// uses it hands its TestMain over:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// A service that is missing fails the test and names `go run . setup`; nothing is ever skipped. Only tests may import
// this package.
package testenv

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs a package's tests, ends what they shared, and fails if a goroutine outlived them. It does not return.
func Main(m *testing.M, ignore ...goleak.Option) {
	wrapped.Store(true)
	code := m.Run()
	if err := errors.Join(sharedCluster.end(), removeSharedDir(), findLeaks(code, ignore)); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// findLeaks stays silent after a failure, which often leaves goroutines behind and is the thing to read.
func findLeaks(code int, ignore []goleak.Option) error {
	if code != 0 {
		return nil
	}
	return goleak.Find(ignore...)
}
