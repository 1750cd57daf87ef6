package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"syscall"
	"time"

	"flickrkillr/ops/lab/scale"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/sleep"
)

// Fault says what is broken and when. Its times are those of a run of a minute; in a shorter run a fault comes earlier
// and takes at most half of the time.
type Fault struct {
	Every time.Duration // from one to the next; 0: once
	Hold  time.Duration // how long it lasts; 0: it is over at once
	// Turns is how many machines have a turn each, however long that takes; 0: it is not about machines.
	Turns int
	// Inject injects the n-th fault, from 0, and returns when it is undone, or ctx has ended: then services run again,
	// and roles are about to be stopped. errSkipped: there was nothing to break.
	Inject injector
}

type injector func(ctx context.Context, on *scene, n int, hold time.Duration) error

// scene is what can be broken.
type scene struct {
	stack *stack.Stack // nil: the site runs already
	site  *site.Site
	fleet *fleetSite                                                        // the site on machines; nil: it is here
	dial  func(ctx context.Context, network, addr string) (net.Conn, error) // to what is on machines
	edges []string
	setup Setup
	bus   *stack.BusServers // nil: the stack's
	// The bucket of pictures, and who uploads to it; nil: pictures are in a directory.
	bucket *bucketServer
	people *uploaders
	at     stack.Env      // the services of the roles
	lines  []*scale.Delay // in front of services
	log    *slog.Logger
}

// stop stops the roles of the row.
func (s *scene) stop() (err error) {
	if s.site != nil {
		err = s.site.Stop()
	}
	if s.fleet != nil {
		err = errors.Join(err, s.fleet.stop())
	}
	if s.bus != nil {
		err = errors.Join(err, s.bus.Stop())
	}
	if s.bucket != nil {
		err = errors.Join(err, s.bucket.stop())
	}
	for _, l := range s.lines {
		err = errors.Join(err, l.Close())
	}
	return err
}

// FaultEvent is a fault that was injected.
type FaultEvent struct {
	What  string  `json:"what,omitempty"` // the machine
	Began float64 `json:"began"`          // in seconds since the start
	Ended float64 `json:"ended"`
	Ready float64 `json:"ready,omitempty"` // when all was as before, on machines
	Pause float64 `json:"pause,omitempty"` // on machines: the longest time without an acknowledged write, in seconds
	Err   string  `json:"error,omitempty"` // why it could not be injected or undone
}

// times are when faults begin, after the start of a run that takes whole, and how long each is held. The last quarter
// is left for the site to recover.
func (f Fault) times(whole time.Duration) (begin []time.Duration, hold time.Duration) {
	hold = min(f.Hold, whole/2)
	first := whole / 4
	if f.Every == 0 {
		return []time.Duration{first}, hold
	}
	for at := min(f.Every, first); at+hold <= whole-whole/4 || len(begin) == 0; at += f.Every {
		begin = append(begin, at)
	}
	return begin, hold
}

// inject injects the faults of a run that begins at start and takes whole, until ctx ends.
func (f Fault) inject(ctx context.Context, on *scene, start time.Time, whole time.Duration) (events []FaultEvent) {
	if f.Inject == nil { // the load itself is what goes wrong
		return nil
	}
	begin, hold := f.times(whole)
	for n, at := range begin {
		if !sleep.For(ctx, time.Until(start.Add(at))) {
			return events
		}
		e := FaultEvent{Began: time.Since(start).Seconds()}
		err := f.Inject(ctx, on, n, hold)
		if errors.Is(err, errSkipped) {
			continue
		}
		e.Ended = time.Since(start).Seconds()
		if err != nil && ctx.Err() == nil {
			e.Err = err.Error()
			on.log.Error("a fault could not be injected, or not undone", "err", err)
		}
		events = append(events, e)
	}
	return events
}

// errSkipped: a process was to be killed that is being restarted.
var errSkipped = errors.New("the process does not run")

// pid is the id of the i-th process of a role, or errSkipped.
func (s *scene) pid(role site.Role, i int) (int, error) {
	pids, err := s.site.PIDs(role)
	if err != nil {
		return 0, err
	}
	if pid := pids[i%len(pids)]; pid != 0 {
		return pid, nil
	}
	return 0, errSkipped
}

// signal sends a signal to the i-th process of a role.
func (s *scene) signal(role site.Role, i int, signal syscall.Signal) error {
	pid, err := s.pid(role, i)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, signal); errors.Is(err, syscall.ESRCH) {
		return errSkipped
	} else if err != nil {
		return fmt.Errorf("%v to a process of the role %s: %w", signal, role, err)
	}
	return nil
}

// signalInTurn sends a signal to one process of a role, each in its turn.
func signalInTurn(role site.Role, signal syscall.Signal) injector {
	return func(_ context.Context, s *scene, n int, _ time.Duration) error { return s.signal(role, n, signal) }
}

// freeze suspends the first n processes of a role.
func freeze(role site.Role, n int) injector {
	return processes(n, []site.Role{role}, func(pid int) (undo func() error, err error) {
		return func() error { return syscall.Kill(pid, syscall.SIGCONT) }, syscall.Kill(pid, syscall.SIGSTOP)
	})
}

// noFiles takes from all processes of some roles the right to open files, sockets among them. What is open stays open.
func noFiles(roles ...site.Role) injector {
	return processes(math.MaxInt, roles, forbidFiles)
}

// noMemory takes from one process of a role all memory but what it has, each role and process in its turn.
func noMemory(_ context.Context, s *scene, n int, _ time.Duration) error {
	roles := []site.Role{site.Renderer, site.Edge, site.Cachefill}
	pid, err := s.pid(roles[n%len(roles)], n/len(roles))
	if err != nil {
		return err
	}
	return forbidMemory(pid)
}

// flushedAfter empties memcached when another fault is undone.
func flushedAfter(fault injector) injector {
	return func(ctx context.Context, s *scene, n int, hold time.Duration) error {
		return errors.Join(fault(ctx, s, n, hold), s.site.Inject(context.WithoutCancel(ctx), "flush memcached"))
	}
}

// processes does something to the first n processes of each of some roles, and undoes it after hold.
func processes(n int, roles []site.Role, do func(pid int) (undo func() error, err error)) injector {
	return func(ctx context.Context, s *scene, _ int, hold time.Duration) error {
		var errs []error
		var undo []func() error
		for _, role := range roles {
			pids, err := s.site.PIDs(role)
			errs = append(errs, err)
			for _, pid := range pids[:min(n, len(pids))] {
				if pid == 0 {
					errs = append(errs, fmt.Errorf("a process of the role %s does not run", role))
					continue
				}
				back, err := do(pid)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				undo = append(undo, back)
			}
		}
		sleep.For(ctx, hold)
		for _, back := range undo {
			errs = append(errs, back())
		}
		return errors.Join(errs...)
	}
}

// held injects a fault of a service that lasts.
func held(fault func(*stack.Stack, context.Context, time.Duration) error) injector {
	return func(ctx context.Context, s *scene, _ int, hold time.Duration) error { return fault(s.stack, ctx, hold) }
}

// whole injects a fault of a service that is not cut short when ctx ends.
func whole(fault func(*stack.Stack, context.Context) error) injector {
	return func(ctx context.Context, s *scene, _ int, _ time.Duration) error {
		return fault(s.stack, context.WithoutCancel(ctx))
	}
}

// named injects a fault that the site knows by its name.
func named(fault string) injector {
	return func(ctx context.Context, s *scene, _ int, _ time.Duration) error { return s.site.Inject(ctx, fault) }
}

// remove stops all processes of a role, and starts as many again.
func remove(role site.Role) injector {
	return func(ctx context.Context, s *scene, _ int, hold time.Duration) error {
		began := time.Now()
		pids, err := s.site.PIDs(role)
		if err != nil {
			return err
		}
		var errs []error
		for range pids {
			errs = append(errs, s.site.Remove(role))
		}
		if sleep.For(ctx, hold-time.Since(began)) {
			errs = append(errs, s.site.Add(role, len(pids)))
		}
		return errors.Join(errs...)
	}
}
