package renderer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestComingAndGoingLosesNothing starts and stops services under load. Askers try again when nobody is there, and after
// nothing else.
func TestComingAndGoingLosesNothing(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int64
	var askers sync.WaitGroup
	failures := make(chan error, 8)
	st.start(t, nil).stop() // so that the stream and the rest is there: what follows is only coming and going
	for i := range 8 {
		subjects := []string{page.User("ansel").Subject(), page.Photo(int64(i + 1)).Subject(), page.About().Subject(),
			page.User("dorothea").Subject()}
		askers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if err := askUntilSomebodyIsThere(st.nc, subjects[n%len(subjects)]); err != nil {
					failures <- err
					return
				}
				asked.Add(1)
			}
		})
	}
	var all []*running
	for round := range 12 {
		all = append(all, st.start(t, nil))
		served := asked.Load()
		eventually(t, 10*time.Second, func() error { // it has taken its share
			if asked.Load() < served+50 {
				return fmt.Errorf("%d requests since", asked.Load()-served)
			}
			return nil
		})
		if round > 0 {
			all[0].stop()
			all = slices.Delete(all, 0, 1)
		}
	}
	cancel()
	askers.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	for _, s := range all {
		s.stop()
	}
	t.Logf("%d requests over 12 starts and stops", asked.Load())
}

func askUntilSomebodyIsThere(nc *nats.Conn, subject string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		msg, err := nc.Request(subject, nil, 5*time.Second)
		switch {
		case errors.Is(err, nats.ErrNoResponders) && time.Now().Before(deadline):
			time.Sleep(time.Millisecond)
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", subject, err)
		}
		if err := wire.ErrorOf(msg); err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
		_, err = wire.DecodeReply(subject, msg.Data)
		return err
	}
}

// TestStopFinishesWhatIsHeld: requests that had reached the service are answered, those after it find nobody.
func TestStopFinishesWhatIsHeld(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, func(c *Config) {
		small(c)
		c.QueueFactor = 1000 // room for those that ask whether it is still there
	})
	release := st.stall(t)
	defer release()
	held := []<-chan *nats.Msg{st.ask(t, "page.user.ansel", nil)}
	load(t, s, page.KindUser, 1, 0)
	held = append(held, st.ask(t, "page.user.dorothea", nil), st.ask(t, "page.photo.1", nil))
	load(t, s, page.KindUser, 1, 1)
	load(t, s, page.KindPhoto, 0, 1)

	stopped := make(chan struct{})
	go func() {
		s.stop()
		s.stop()
		close(stopped)
	}()
	eventually(t, 5*time.Second, func() error {
		if _, err := st.nc.Request("page.about", nil, time.Second); !errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("still in the queue group: %w", err)
		}
		return nil
	})
	if s.Ready() == nil {
		t.Error("ready, and leaving")
	}
	select {
	case <-stopped:
		t.Error("it did not wait for what it held")
	default:
	}
	release()
	for i, answer := range held {
		if err := wire.ErrorOf(receive(t, answer)); err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	<-stopped
}

func TestStopIsBounded(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := launch(t, st.service(t, func(c *Config) {
		small(c)
		c.StopTimeout = 200 * time.Millisecond
	}))
	eventually(t, 10*time.Second, s.Ready)
	release := st.stall(t)
	defer release()
	answer := st.ask(t, "page.user.ansel", nil)
	load(t, s, page.KindUser, 1, 0)
	s.stop()
	if !errors.Is(s.err, context.DeadlineExceeded) {
		t.Errorf("Run = %v, want an error that says that work was cut off", s.err)
	}
	if err := wire.ErrorOf(receive(t, answer)); wire.Code(err) != "unavailable" {
		t.Errorf("the request that was cut off: %v", err)
	}
}

func TestStopBeforeRun(t *testing.T) {
	t.Parallel()
	s := newSite(t).service(t, nil)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Run(ended); err != nil {
		t.Error("Run:", err)
	}
	if err := s.Run(t.Context()); err == nil {
		t.Error("a second Run did not complain")
	}
}
