// Command killr is Flickr Killr, a photo site: edges ask a bus, and whichever renderer is free answers.
//
// **Input**: the command line, signals, and the version that the build left in the program. **Output**: an exit status;
// 130 after a second signal. **Must not touch**: anything else. The commands are in ops/cli.
package main

import (
	"cmp"
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"flickrkillr/ops/cli"
)

// version is set by a release build: go build -ldflags "-X main.version=1.0.0". Every other build knows its version
// from git.
var version string

// gcPercent is how much is allocated between two garbage collections, in percent of the live heap; the environment
// variable GOGC overrides it. Roles allocate much and keep little, so that Go's own 100 collects too often: on pages
// that are in no cache, 200 saves 3 to 5% of the processor time.
const gcPercent = 200

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // a program started by nohup goes on without its terminal
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		cancel()
		<-signals // the second signal does not wait for requests; child processes end with this one
		os.Exit(130)
	}()
	program := cli.Program{Version: buildVersion(), Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(program.Run(ctx, os.Args[1:]))
}

// buildVersion is the version without the "v" of its tag: the one that a release build was given, or the one that Go
// derives from git. `go run` and `go test` derive none.
func buildVersion() string {
	derived := ""
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "(devel)" {
		derived = info.Main.Version
	}
	return strings.TrimPrefix(cmp.Or(version, derived, "0.0.0-devel"), "v")
}
