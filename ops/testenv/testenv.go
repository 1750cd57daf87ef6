// Package testenv gives each test real services of its own: a database, a bus, a cache; and runs programs for tests.
//
// **Input**: a *testing.T. **Output**: addresses of running services, which end with the test. **Must not touch**: what
// is tested; it imports no role. A package that uses it hands its TestMain over:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// A missing service fails the test, with a message that names `go run . setup`; no test is ever skipped. Only tests may
// import this package.
//
//	testenv.go    Main: what a package's tests share, goroutine leaks
//	database.go   a database for one test; cluster.go is the server that all tests of a package share
//	prepared.go   a database that is filled once, and directories
//	bus.go        NATS
//	cache.go      memcached
//	s3.go         an S3 server
//	disk.go       a disk that can be filled
//	process.go    a program and what it writes; up.go is a small site
//	get.go        an HTTP request
//	programs.go   where Chromium, the NATS CLI and the checks of pages are
//	eventually.go wait for a condition
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
	if err := errors.Join(sharedCluster.end(), removeSharedDir(), endSharedS3(), findLeaks(code, ignore)); err != nil {
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
