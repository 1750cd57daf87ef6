package renderer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Run serves until ctx ends. It first waits for the bus and for an answer of Postgres, as long as that takes: a
// renderer that cannot read must not take requests from those that can. To stop, it leaves the queue group, answers
// every request that has arrived, ends the relay and the indexer, and leaves the bus, and returns nil. After
// Config.StopTimeout it cuts unfinished work off and returns an error that says so. It returns a *RefusedError when
// the database address can never work, and an *OtherSiteError when bus and database belong to different sites. It may
// be called once.
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
	if err := s.checkSite(ctx); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return nil
	}
	for _, p := range s.pools() {
		p.start(held)
	}
	if s.mail != nil {
		s.mailing.Go(func() { s.mail.Run(held) })
	}
	var background sync.WaitGroup
	background.Go(func() { s.outage.probe(ctx, s.store.Probe) })
	background.Go(func() { s.watchBus(ctx) })
	var other error // valid once background has ended
	err := s.open()
	if err == nil {
		background.Go(func() {
			if other = s.relay.run(ctx, held); other != nil {
				cancel()
			}
		})
		background.Go(func() { s.keepHearing(ctx) })
		background.Go(func() { s.replicas.run(ctx, s) })
		background.Go(func() { s.countTags(ctx) })
		background.Go(func() { s.doLeftovers(ctx) })
		background.Go(func() { s.keepIndex(ctx, held) })
		for range s.cfg.PictureWorkers {
			background.Go(func() { s.developer(ctx, held) })
		}
		s.serving.Store(true)
		s.log.Info("serving", "version", s.cfg.Version, "page_workers", s.cfg.PageWorkers, "search_workers",
			s.cfg.SearchWorkers, "picture_workers", s.cfg.PictureWorkers,
			"action_workers", s.cfg.ActionWorkers)
		<-ctx.Done()
	}
	cancel()
	err = errors.Join(err, s.shut(drop, &background))
	return errors.Join(other, err)
}

// pools lists the pools; each stands before the pool that its workers pass requests to.
func (s *Service) pools() [16]*pool {
	return [...]*pool{s.pages, s.searches, s.sitemaps, s.files, s.ownFiles, s.shareFiles, s.images, s.actions,
		s.passwords, s.privates, s.archives, s.shares, s.chunks, s.uploading, s.finishes, s.originals}
}

// waitForBus waits until the connection is up, because the server tells the limit of messages. It returns false when
// ctx ended before.
func (s *Service) waitForBus(ctx context.Context) bool {
	for !s.nc.IsConnected() || !s.uploads.IsConnected() {
		if s.nc.IsClosed() || s.uploads.IsClosed() || !sleep.For(ctx, 20*time.Millisecond) {
			return ctx.Err() == nil // open fails on a closed connection
		}
	}
	return true
}

// burstLimit is how long after the return of NATS a burst of requests is held: all that were made while it was away
// come at once, to whichever renderer is back first.
const burstLimit = 3 * time.Second

// restarting reports that Postgres restarts, or that NATS did a moment ago.
func (s *Service) restarting() bool {
	return s.outage.restarting() || s.busBack.Load() != 0 && monotonic.Since(s.busBack.Load()) < burstLimit
}

// watchBus records when NATS is back, until ctx ends.
func (s *Service) watchBus(ctx context.Context) {
	back := s.nc.StatusChanged(nats.CONNECTED)
	defer s.nc.RemoveStatusListener(back)
	for {
		select {
		case <-ctx.Done():
			return
		case _, open := <-back:
			if !open {
				return
			}
			s.busBack.Store(monotonic.Now())
		}
	}
}

// setClock waits for Postgres, learns which site it belongs to, and sets the clock from it, or returns when ctx ends.
// It connects first, and each question has its own time: where Postgres is far away, an answer does not come in time if
// it waits for a connection or for other answers. Errors: *RefusedError.
func (s *Service) setClock(ctx context.Context) error {
	waiting := "waiting for PostgreSQL at " + databaseAddr(s.cfg.Pool)
	s.waiting.Store(&waiting)
	for n, question := range [...]func(context.Context) error{
		s.cfg.Pool.Ping,
		func(ctx context.Context) (err error) {
			s.relay.site, err = s.store.SiteID(ctx)
			return err
		},
		s.readKey,
		func(ctx context.Context) error {
			now, err := s.store.Now(ctx)
			if err == nil {
				s.clock.Observe(wire.Heartbeat{Time: now}, time.Now())
			}
			return err
		},
	} {
		limit := s.cfg.ReadTimeout
		if n == 0 {
			limit = max(limit, connectTimeout)
		}
		if err := s.untilAnswered(ctx, limit, waiting, question); err != nil || ctx.Err() != nil {
			return err
		}
	}
	s.waiting.Store(nil)
	return nil
}

// connectTimeout is how long the first connection may take: some ten round trips.
const connectTimeout = 5 * time.Second

// untilAnswered asks Postgres, for limit at a time, until it answers or ctx ends. Meanwhile the status says what is
// waited for, and why. Errors: *RefusedError.
func (s *Service) untilAnswered(
	ctx context.Context, limit time.Duration, waiting string, question func(context.Context) error,
) error {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		ask, cancel := context.WithTimeout(ctx, limit)
		err := question(ask)
		cancel()
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if final := refused(s.cfg.Pool, err); final != nil {
			return final
		}
		because := waiting + ": " + err.Error()
		if store.IsOutOfConnections(err) {
			because += ": raise its max_connections and the user's CONNECTION LIMIT, or give renderers fewer workers"
		}
		s.waiting.Store(&because)
		if !sleep.For(ctx, pause) {
			return nil
		}
	}
}

// open makes all subscriptions and returns when the server has them.
func (s *Service) open() error {
	if err := s.hearHeartbeats(); err != nil {
		return fmt.Errorf("renderer: %w", err)
	}
	if err := s.control.add(s.nc.Subscribe(wire.SubjectCancels, s.abandoned.hear)); err != nil {
		return fmt.Errorf("renderer: subscribe to %s: %w", wire.SubjectCancels, err)
	}
	for _, subscribe := range [...]func() error{s.join, s.offerAssets, s.announce, s.nc.Flush, s.uploads.Flush} {
		if err := subscribe(); err != nil {
			return fmt.Errorf("renderer: %w", err)
		}
	}
	return nil
}

// shut ends what open and Run started, in the order that Run's comment states.
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
	note("leave the queue group", s.requests.drain(bus))
	for _, p := range s.pools() {
		p.close()
		note("finish "+p.name, waitFor(ctx, &p.running))
	}
	if s.mail != nil { // no action queues any more
		s.mail.Close()
		note("send the mails that wait", waitFor(ctx, &s.mailing))
	}
	note("end the relay and the indexer", waitFor(ctx, background))
	drop() // cut off unfinished work
	for _, p := range s.pools() {
		p.running.Wait()
	}
	background.Wait()
	s.mailing.Wait()
	note("free the memory of chunks", s.sentChunks.free())
	note("end questions", s.control.drain(bus))
	s.relay.setActive(false) // it receives no further heartbeat, not even its own last one
	for _, nc := range []*nats.Conn{s.nc, s.uploads} {
		if err := nc.FlushWithContext(bus); err != nil && !errors.Is(err, nats.ErrConnectionClosed) &&
			context.Cause(bus) != errBusAway {
			note("send the last replies", err)
		}
	}
	if context.Cause(bus) == errBusAway {
		s.log.Warn("stopped without NATS: unsent replies are lost, their requesters retry")
	} else {
		s.log.Info("stopped")
	}
	return errors.Join(errs...)
}

// busTimeout is how long a renderer that stops waits for NATS to come back.
const busTimeout = 500 * time.Millisecond

// errBusAway ends waiting for NATS while the renderer stops. It is no failure: without NATS there is nobody to
// answer.
var errBusAway = errors.New("NATS is away")

// whileConnected returns a context that ends with ctx, or when NATS has been away for busTimeout. The caller must
// call done.
func (s *Service) whileConnected(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		for seen := time.Now(); sleep.For(ctx, busTimeout/25); {
			if s.nc.IsConnected() && s.uploads.IsConnected() {
				seen = time.Now()
			} else if time.Since(seen) >= busTimeout {
				cancel(errBusAway)
			}
		}
	})
	return ctx, func() { cancel(nil); watching.Wait() }
}
