package renderer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/wire"
)

// Run serves until ctx ends or Stop is called, and then returns nil once everything is finished in this order: it
// leaves the queue group, answers what had reached it by then, ends the relay, and is deaf to questions about it. That
// takes no longer than Config.StopTimeout; work that is not done by then is cut off, and an error says so. Before
// anything it waits, as long as it takes, for the bus and for Postgres' first answer: a renderer that cannot read takes
// no requests away from those that can. It ends with a *RefusedError when the database will never answer as it was
// given. It may be called once.
func (s *Service) Run(ctx context.Context) error {
	if !s.begun.CompareAndSwap(false, true) {
		return errors.New("renderer: Run was called before")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	held, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	if !s.waitForBus(ctx) {
		return nil
	}
	if err := s.setClock(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	for _, p := range s.pools() {
		p.start(held)
	}
	var background sync.WaitGroup
	err := s.open()
	if err == nil {
		background.Go(func() { s.relay.run(ctx, held) })
		background.Go(func() { s.countTags(ctx) })
		background.Go(func() { s.keepIndex(ctx, held) })
		s.serving.Store(true)
		s.log.Info("serving", "version", s.cfg.Version, "page_workers", s.cfg.PageWorkers, "search_workers",
			s.cfg.SearchWorkers, "picture_workers", s.cfg.PictureWorkers,
			"action_workers", s.cfg.ActionWorkers)
		<-ctx.Done()
	}
	cancel()
	return errors.Join(err, s.shut(drop, &background))
}

// pools lists the pools so that each stands before the one that its workers pass requests on to.
func (s *Service) pools() [6]*pool {
	return [...]*pool{s.pages, s.searches, s.sitemaps, s.files, s.images, s.actions}
}

// waitForBus waits for the server, which says how large a message may be; false when ctx ended before.
func (s *Service) waitForBus(ctx context.Context) bool {
	for !s.nc.IsConnected() {
		if s.nc.IsClosed() || !sleep(ctx, 20*time.Millisecond) {
			return ctx.Err() == nil // what is closed fails in open, and says so
		}
	}
	return true
}

// setClock waits for Postgres and takes its time over, or returns when ctx ends. Errors: *RefusedError.
func (s *Service) setClock(ctx context.Context) error {
	waiting := "waiting for PostgreSQL at " + databaseAddr(s.cfg.Pool)
	s.waiting.Store(&waiting)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		ask, cancel := context.WithTimeout(ctx, s.cfg.ReadTimeout)
		now, err := s.store.Now(ask)
		cancel()
		if err == nil {
			s.clock.Observe(wire.Tick{Time: now}, time.Now())
			s.waiting.Store(nil)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if final := refused(s.cfg.Pool, err); final != nil {
			return final
		}
		because := waiting + ": " + err.Error()
		s.waiting.Store(&because)
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// open subscribes to everything, and returns when the server knows.
func (s *Service) open() error {
	if err := s.talk.add(s.nc.Subscribe(wire.SubjectTick, s.hearTick)); err != nil {
		return fmt.Errorf("renderer: subscribe to %s: %w", wire.SubjectTick, err)
	}
	if err := s.talk.add(s.nc.Subscribe(wire.SubjectCancels, s.abandoned.hear)); err != nil {
		return fmt.Errorf("renderer: subscribe to %s: %w", wire.SubjectCancels, err)
	}
	for _, subscribe := range [...]func() error{s.join, s.offerAssets, s.announce, s.nc.Flush} {
		if err := subscribe(); err != nil {
			return fmt.Errorf("renderer: %w", err)
		}
	}
	return nil
}

func (s *Service) hearTick(m *nats.Msg) {
	tick, err := wire.DecodeTick(m.Data)
	if err != nil {
		s.log.Warn("tick", "err", err)
		return
	}
	s.clock.Observe(tick, time.Now())
	s.relay.hearTick(m.Header.Get(wire.HeaderWorker))
}

// shut ends what open and Run began, in Run's order.
func (s *Service) shut(drop context.CancelFunc, background *sync.WaitGroup) error {
	s.serving.Store(false)
	s.log.Info("leaving the queue group")
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.StopTimeout)
	defer cancel()
	bus, done := s.whileConnected(ctx)
	defer done()
	var errs []error
	note := func(step string, err error) {
		if err != nil && !errors.Is(err, errBusAway) {
			errs = append(errs, fmt.Errorf("renderer: stop: %s: %w", step, err))
		}
	}
	note("leave the queue group", s.work.drain(bus))
	for _, p := range s.pools() {
		p.close()
		note("finish "+p.name, waitFor(ctx, &p.running))
	}
	note("end the relay and the indexer", waitFor(ctx, background))
	drop() // whoever is still at it is cut off now
	for _, p := range s.pools() {
		p.running.Wait()
	}
	background.Wait()
	note("end questions", s.talk.drain(bus))
	s.relay.setActive(false) // it hears of no tick any more, its own last one included
	if err := s.nc.FlushWithContext(bus); err != nil && !errors.Is(err, nats.ErrConnectionClosed) &&
		context.Cause(bus) != errBusAway {
		note("send the last replies", err)
	}
	if context.Cause(bus) == errBusAway {
		s.log.Warn("stopped while NATS was away; requesters of unsent replies ask again")
	} else {
		s.log.Info("stopped")
	}
	return errors.Join(errs...)
}

// busPatience is how long a renderer that stops waits for NATS to come back.
const busPatience = 500 * time.Millisecond

// errBusAway ends what waits for NATS while the renderer stops. It is no failure: without NATS nobody can be told
// anything.
var errBusAway = errors.New("NATS is away")

// whileConnected is ctx until NATS has been away for busPatience. The caller calls done, which waits.
func (s *Service) whileConnected(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for seen := time.Now(); sleep(ctx, busPatience/25); {
			if s.nc.IsConnected() {
				seen = time.Now()
			} else if time.Since(seen) >= busPatience {
				cancel(errBusAway)
			}
		}
	})
	return ctx, func() { cancel(nil); watching.Wait() }
}
