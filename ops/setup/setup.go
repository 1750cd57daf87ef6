// Package setup installs what the stack and the tests need and `go build` does not bring: memcached, a PostgreSQL
// server, and for the tests Chromium, the NATS CLI, an S3 server (versitygw), what checks pages (axe-core and
// html-validate, by npm), promtool, and on Linux what machines of a fleet need: systemd, OpenSSH, iproute2, Patroni and
// etcd.
//
// **Input**: this machine. **Output**: installed programs, and one line for each. If all are installed it does nothing,
// which takes some milliseconds. **Must not touch**: roles and their data. Only commands and tests may import it.
package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/stack"
)

// Config says what is wanted.
type Config struct {
	Tests bool      // also what only tests need: Chromium, npm, the NATS CLI, the S3 server, the checks of pages
	Quiet bool      // speak only of what is being installed
	Out   io.Writer // hears what is there, and what is being installed
}

// need is one thing that must be on the machine.
type need struct {
	name string
	find func() (string, error) // where it is; any error means that it is not there
	apt  string                 // Debian and Ubuntu package
	brew []string               // Homebrew arguments
}

func needs(tests bool) []need {
	all := []need{
		{name: "memcached", find: stack.FindMemcached, apt: "memcached", brew: []string{"memcached"}},
		{name: "PostgreSQL server", find: findPostgres, apt: "postgresql", brew: []string{"postgresql@17"}},
	}
	if tests {
		all = append(
			all,
			need{name: "Chromium", find: FindChromium, apt: "chromium", brew: []string{"--cask", "google-chrome"}},
			need{name: "promtool", find: program("promtool"), apt: "prometheus", brew: []string{"prometheus"}},
			need{name: "npm", find: findNPM, apt: "npm", brew: []string{"node"}},
		)
		all = append(all, fleetNeeds()...)
	}
	return all
}

func findPostgres() (string, error) {
	p, err := stack.FindPostgres(0)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s (version %d)", p.Dir, p.Major), nil
}

// Run installs what is missing and reports everything it found. An error names what is still missing, and how to get
// it.
func Run(ctx context.Context, cfg Config) error {
	cfg.Out = &lockedWriter{to: cfg.Out}
	var both errgroup.Group // neither ends the other half-way
	natsCLI, s3Server := "", ""
	if cfg.Tests { // beside the package manager, which mostly waits for the network
		both.Go(func() (err error) {
			if natsCLI, err = NATSCLI(ctx, cfg.Out); err == nil {
				s3Server, err = S3Server(ctx, cfg.Out)
			}
			return err
		})
	}
	both.Go(func() error { return installMissing(ctx, cfg) })
	if err := both.Wait(); err != nil {
		return err
	}
	if !cfg.Tests {
		return nil
	}
	cfg.say("NATS CLI", natsCLI)
	cfg.say("S3 server", s3Server)
	checks, err := FindPageChecks(ctx, cfg.Out) // by npm, which may have been missing
	if err != nil {
		return err
	}
	cfg.say("axe-core", checks.Axe)
	cfg.say("html-validate", checks.HTMLValidate)
	return nil
}

// installMissing installs what is missing and reports what is there.
func installMissing(ctx context.Context, cfg Config) error {
	missing := report(cfg)
	if len(missing) == 0 {
		return nil
	}
	if err := install(ctx, cfg.Out, missing); err != nil {
		return err
	}
	if missing = report(cfg); len(missing) > 0 {
		return fmt.Errorf("still missing after installing: %s", names(missing))
	}
	return nil
}

// lockedWriter is a writer for several goroutines.
type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// report says what is there and returns what is not.
func report(cfg Config) []need {
	var missing []need
	for _, n := range needs(cfg.Tests) {
		path, err := n.find()
		if err != nil {
			missing = append(missing, n)
			continue
		}
		cfg.say(n.name, path)
	}
	return missing
}

func (cfg Config) say(name, path string) {
	if !cfg.Quiet {
		fmt.Fprintf(cfg.Out, "%-18s %s\n", name, path)
	}
}

func names(ns []need) string {
	var s []string
	for _, n := range ns {
		s = append(s, n.name)
	}
	return strings.Join(s, ", ")
}

// errNoInstaller says that this machine has no package manager that we know.
var errNoInstaller = errors.New("no apt-get and no brew here")
