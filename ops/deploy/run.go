package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"flickrkillr/schema/sleep"
)

// deployment is what a command knows while it runs.
type deployment struct {
	Options
	remote *remote
	hosts  []string          // that it reaches, in order
	have   map[string]*state // by host

	drains  map[string]bool   // hosts that this command drains (true) or lets run again (false)
	configs map[string]config // made from site.toml, by host; nil: what hosts have is used
	release string            // the hash of Options.Binary; "": not read
}

// errNoneBefore is why a first deployment is not taken back.
var errNoneBefore = errors.New("no release was in force before")

// startError is an instance that did not start, or is worse than those of before.
type startError struct {
	step step
	err  error
}

func (e *startError) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.step.host, unitOf(e.step.role, e.step.name), e.err)
}

// do does the steps, and says each. Steps of a stage's lanes run at the same time.
func (d *deployment) do(ctx context.Context, in intent, stages []stage) error {
	for _, lanes := range stages {
		together, ctx := errgroup.WithContext(ctx)
		for _, lane := range lanes {
			together.Go(func() error {
				for _, s := range lane {
					began := time.Now()
					if err := d.step(ctx, in, s); err != nil {
						return err
					}
					d.say("%s (%.1f s)", s, time.Since(began).Seconds())
				}
				return nil
			})
		}
		if err := together.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// say prints a line.
func (d *deployment) say(format string, args ...any) {
	d.out.Lock()
	defer d.out.Unlock()
	fmt.Fprintf(d.Out, format+"\n", args...)
}

func (d *deployment) step(ctx context.Context, in intent, s step) error {
	how := doing[s.do]
	ctx, cancel := context.WithTimeoutCause(ctx, how.limit, fmt.Errorf("not done in %s: %s", how.limit, how.words))
	defer cancel()
	c := call{host: s.host, script: stepsLock + scriptOf(how.script), args: s.args(in)}
	switch s.do {
	case copyRelease:
		return d.copyRelease(ctx, s, c)
	case writeConfig:
		made, ok := d.configs[s.host]
		if !ok || made.hash != s.pair.config {
			return fmt.Errorf("%s: there is no configuration %s to copy", s.host, s.pair.config)
		}
		archive, err := made.archive("files")
		if err != nil {
			return err
		}
		c.stdin = bytes.NewReader(archive)
	case start:
		return d.start(ctx, in, s, c)
	}
	_, err := d.remote.run(ctx, c)
	return err
}

// copyRelease copies the binary from this machine, or from a host that has it.
func (d *deployment) copyRelease(ctx context.Context, s step, c call) error {
	if d.release == s.pair.release {
		binary, err := os.Open(d.Binary)
		if err != nil {
			return err
		}
		defer func() { _ = binary.Close() }()
		c.stdin = binary
		_, err = d.remote.run(ctx, c)
		return err
	}
	has := func(host string) bool { return slices.Contains(d.have[host].releases, s.pair.release) }
	from := slices.IndexFunc(d.hosts, has)
	if from < 0 {
		return fmt.Errorf("no host has the release %s, and it is not %s", s.pair.release, d.Binary)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		defer func() { _ = write.Close() }()
		_, err := d.remote.run(ctx, call{
			host: d.hosts[from], script: scriptOf("binary"), args: []string{s.pair.release}, stdout: write,
		})
		return err
	})
	both.Go(func() error {
		defer func() { _ = read.Close() }()
		c.stdin = read
		_, err := d.remote.run(ctx, c)
		return err
	})
	return both.Wait()
}

// start starts an instance, sees it on the bus, and watches it if others can be compared with it.
func (d *deployment) start(ctx context.Context, in intent, s step, c call) error {
	text, err := d.remote.run(ctx, c)
	if err != nil {
		return &startError{s, err}
	}
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil || pid == 0 {
		return &startError{s, fmt.Errorf("it has no process: %q", text)}
	}
	if slices.Contains(serviceOrder, s.role) {
		return nil
	}
	at := processOf(d.have[s.host], pid)
	before, err := d.remote.seen(ctx, s.host, s.pair, at)
	if err != nil {
		return &startError{s, err}
	}
	if !s.compare {
		return nil
	}
	old := func(p process) bool { return d.isOld(in, p) }
	// A p99 is taken twice: a new instance opens its connections and fills its caches in the first seconds.
	var slow error
	for range 2 {
		if !sleep.For(ctx, d.Watch) {
			return context.Cause(ctx)
		}
		after, err := d.remote.seen(ctx, s.host, s.pair, at)
		if err != nil {
			return &startError{s, err}
		}
		failed, late := compare(s.role, at, before, after, old)
		if failed != nil {
			return &startError{s, failed}
		}
		if slow = late; slow == nil {
			return nil
		}
		before = after
	}
	return &startError{s, slow}
}

// isOld reports whether a process is an instance that is to be replaced.
func (d *deployment) isOld(in intent, p process) bool {
	for host, s := range d.have {
		w := in.want[host]
		for _, i := range s.instances {
			if processOf(s, i.pid) == p {
				return i.release != w.pair.release || i.config != w.config[i.role]
			}
		}
	}
	return false
}

// revert takes back what a deployment has done: each host runs again what was in force before.
func (d *deployment) revert(ctx context.Context, failed *startError, deployment string) error {
	stopping, cancel := context.WithTimeout(ctx, unitLimit)
	defer cancel()
	_, err := d.remote.run(stopping, call{host: failed.step.host, script: stepsLock + scriptOf("stop"),
		args: []string{unitOf(failed.step.role, failed.step.name)}})
	if err != nil {
		return err
	}
	if err := d.read(ctx); err != nil {
		return err
	}
	in, err := d.without(deployment)
	if err != nil {
		return err
	}
	d.say("going back to what was in force before")
	return d.do(ctx, in, d.plan(in))
}

// print says the steps without doing them.
func (d *deployment) print(stages []stage) {
	for _, lanes := range stages {
		for _, lane := range lanes {
			for _, s := range lane {
				d.say("%s", s)
			}
		}
	}
	if len(stages) == 0 {
		d.say("nothing to do")
	}
}
