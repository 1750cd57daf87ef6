package edge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/page"
)

func newTestFlights() *flights {
	return newFlights(prometheus.NewCounter(prometheus.CounterOpts{Name: "shared"}))
}

// TestFlightGrace: a request that comes within the grace period joins the fetch. After it the fetch is cancelled.
func TestFlightGrace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pause time.Duration // between the first request's end and the second request
		joins bool
	}{
		"within": {flightGrace / 2, true},
		"after":  {2 * flightGrace, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, ref := newTestFlights(), page.Home()
				defer f.stop()
				fetches, cancelled := 0, 0
				do := func(patience time.Duration) error {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					_, _, err := f.do(ctx, ref, time.Minute, func(ctx context.Context) (fetched, error) {
						fetches++
						select {
						case <-time.After(10 * time.Second):
							return fetched{}, nil
						case <-ctx.Done():
							cancelled++
							return fetched{}, context.Cause(ctx)
						}
					})
					return err
				}
				if err := do(time.Second); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the first request: %v", err)
				}
				time.Sleep(c.pause)
				if err := do(time.Minute); err != nil {
					t.Errorf("the second request: %v", err)
				}
				if want := map[bool]int{true: 1, false: 2}[c.joins]; fetches != want || cancelled != want-1 {
					t.Errorf("%d fetches, %d of them cancelled; want %d and %d", fetches, cancelled, want, want-1)
				}
			})
		})
	}
}

// TestFlightPanics: a panic is an error of all that wait, and the next request begins another fetch.
func TestFlightPanics(t *testing.T) {
	t.Parallel()
	f := newTestFlights()
	defer f.stop()
	for _, panics := range []bool{true, false} {
		_, _, err := f.do(t.Context(), page.Home(), time.Minute, func(context.Context) (fetched, error) {
			if panics {
				panic("broken")
			}
			return fetched{}, nil
		})
		if panics != (err != nil && strings.Contains(err.Error(), "panic: broken")) {
			t.Errorf("panics %t: %v", panics, err)
		}
	}
}

// TestFlightsStop: stop cancels what is under way, and nothing begins afterwards.
func TestFlightsStop(t *testing.T) {
	t.Parallel()
	f, ended := newTestFlights(), make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		_, _, err := f.do(t.Context(), page.Home(), time.Minute, func(ctx context.Context) (fetched, error) {
			close(begun)
			<-ctx.Done()
			return fetched{}, context.Cause(ctx)
		})
		ended <- err
	}()
	<-begun
	f.stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the fetch that was under way: %v", err)
	}
	_, _, err := f.do(t.Context(), page.Home(), time.Minute, func(context.Context) (fetched, error) {
		t.Error("a fetch began after stop")
		return fetched{}, nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("after stop: %v", err)
	}
}
