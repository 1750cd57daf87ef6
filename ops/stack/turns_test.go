package stack

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// trio is three processes that start again in turn, and are ready when the test says so.
type trio struct {
	t      *testing.T
	all    []*Supervised
	starts chan int // the number of each process that starts
	ready  [3]atomic.Bool
}

func newTrio(t *testing.T, bound time.Duration) *trio {
	r := &trio{t: t, starts: make(chan int, 1000)}
	turns := NewTurns(bound)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, len(r.ready))
	for i := range r.ready {
		k := Supervise("sleeper", 5*time.Second, slog.New(slog.DiscardHandler), func() *exec.Cmd {
			r.starts <- i
			return exec.Command("sleep", "3600")
		})
		k.InTurn(turns, func(context.Context) error {
			if r.ready[i].Load() {
				return nil
			}
			return errors.New("not yet")
		})
		r.all = append(r.all, k)
		go func() { ended <- k.Run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range r.all {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	for range r.all {
		r.next()
	}
	return r
}

// next is the process that starts next.
func (r *trio) next() int {
	r.t.Helper()
	select {
	case i := <-r.starts:
		return i
	case <-time.After(time.Minute):
		r.t.Fatal("no process was started within a minute")
		return 0
	}
}

// end ends processes, and waits until they have ended: their supervisors may have started the first again by then.
func (r *trio) end(which ...int) {
	r.t.Helper()
	var children []*Child
	for _, i := range which {
		for r.all[i].PID() == 0 {
			time.Sleep(time.Millisecond) // its start was announced just before
		}
		c := r.all[i].child.Load()
		children = append(children, c)
		if err := c.Signal(syscall.SIGKILL); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, c := range children {
		<-c.Done()
	}
}

// none fails if a process starts that should wait: its supervisor has long since asked for its turn.
func (r *trio) none() {
	r.t.Helper()
	select {
	case i := <-r.starts:
		r.t.Errorf("process %d started while another was not ready", i)
	case <-time.After(4 * leastRestartWait):
	}
}

// TestProcessesStartAgainInTurn: of three that end at the same moment one starts at once, and each other when the one
// before is ready.
func TestProcessesStartAgainInTurn(t *testing.T) {
	t.Parallel()
	r := newTrio(t, time.Hour)
	r.end(0, 1, 2)
	seen := map[int]bool{}
	for range r.all {
		i := r.next()
		seen[i] = true
		r.none()
		r.ready[i].Store(true)
	}
	if len(seen) != len(r.all) {
		t.Errorf("started again were %v, want each once", seen)
	}
}

// TestProcessThatEndsGivesItsTurnBack: one that ends before it was ready holds the others up no longer.
func TestProcessThatEndsGivesItsTurnBack(t *testing.T) {
	t.Parallel()
	r := newTrio(t, time.Hour)
	r.end(0)
	if i := r.next(); i != 0 {
		t.Fatalf("process %d started, which had not ended", i)
	}
	r.end(1)
	r.none()
	r.end(0)
	i := r.next() // the one that waited, as a rule
	r.ready[i].Store(true)
	if j := r.next(); i+j != 1 {
		t.Errorf("processes %d and %d started, want 0 and 1", i, j)
	}
}

// TestTurnsAreBounded: one that never becomes ready holds nobody up for ever.
func TestTurnsAreBounded(t *testing.T) {
	t.Parallel()
	r := newTrio(t, 200*time.Millisecond)
	r.end(0, 1, 2)
	for range r.all {
		r.next()
	}
}
