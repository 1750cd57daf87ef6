package renderer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

const (
	// wakeApart is the least time from the beginning of a round to that of the next: changes that are made together
	// travel together.
	wakeApart = 3 * time.Millisecond
	// comeBack is when a relay that was woken looks again if another one had the lock: that one most likely takes the
	// change with its next round, unless it looked before the commit and found nothing.
	comeBack = 2 * wakeApart
	// standbyPolls is how many times less often a relay looks for changes while another is active.
	standbyPolls = 3
	// tickEvery is how often the active relay says that it lives; silence is how much longer, at least, the others wait
	// for it.
	tickEvery = time.Second
	silence   = 150 * time.Millisecond
	// publishLimit bounds the wait for the stream's acknowledgement. Postgres ends a transaction that idles for 2 s.
	publishLimit = 1500 * time.Millisecond
	// roundLimit bounds a round as a whole, maxPause the wait after one that failed.
	roundLimit = 3 * time.Second
	maxPause   = time.Second
)

// relay carries changes from Postgres' outbox to the stream CHANGES.
//
// A lock in Postgres lets one relay of all work at a time, so any of them may look whenever it has reason to: all is
// well even if two think that they are active. Who is active is whose tick was heard last. It looks often, and ticks;
// the others look seldom, and one of them ticks when a tick is overdue. So when the active one dies, changes go on with
// the next look of the others.
type relay struct {
	id      string
	store   *store.Store
	nc      *nats.Conn
	js      jetstream.JetStream
	log     *slog.Logger
	metrics *metrics
	outage  *outage
	poll    time.Duration
	silence time.Duration // of its own, so that seldom two take over at once

	woken    chan struct{} // holds one: somebody asks for a round
	answered atomic.Int64  // when Postgres last did, in nanoseconds since 1970
	ticked   atomic.Int64  // when the last tick was heard, likewise
	active   atomic.Bool
	stream   bool // is known to be there
}

func newRelay(s *Service) (*relay, error) {
	js, err := jetstream.New(s.nc)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return &relay{
		id: s.id, store: s.store, nc: s.nc, js: js, log: s.log, metrics: s.metrics, outage: &s.outage,
		poll:    s.cfg.RelayPoll,
		silence: silence + rand.N(2*silence), woken: make(chan struct{}, 1),
	}, nil
}

// wake asks for a round at once. It never waits.
func (r *relay) wake() {
	select {
	case r.woken <- struct{}{}:
	default: // one is asked for already
	}
}

// heard says when Postgres last answered.
func (r *relay) heard() time.Time { return time.Unix(0, r.answered.Load()) }

// hearTick notes that the relay of the service with this id has ticked.
func (r *relay) hearTick(id string) {
	r.ticked.Store(time.Now().UnixNano())
	r.setActive(id == r.id)
}

func (r *relay) setActive(active bool) {
	if r.active.Swap(active) == active {
		return
	}
	if active {
		r.metrics.relayActive.Inc()
	} else {
		r.metrics.relayActive.Dec()
	}
	r.log.Info("relay", "active", active)
}

// run relays until ctx ends, and finishes the round it is in, for which held is the context. Rounds that fail, because
// Postgres or the bus is away, are repeated for ever.
func (r *relay) run(ctx, held context.Context) {
	begun, apart, pause := time.Now(), wakeApart, time.Duration(0)
	failing, owed, busy := false, false, false // owed: a round was asked for while another relay had the lock
	for {
		woken, ended := r.wait(ctx, begun, apart, pause)
		if ended {
			return
		}
		begun = time.Now()
		n, leader, err := r.round(held, woken || owed || busy)
		busy = n > 0
		owed, apart = !leader && (owed || woken), wakeApart
		if failing != (err != nil) { // said when it begins and when it ends, not every time
			failing = err != nil
			r.log.Warn("relay", "failing", failing, "err", err)
		}
		switch {
		case err != nil:
			r.metrics.relayErrors.Inc()
			r.setActive(false)
			begun, pause = time.Now(), min(max(2*pause, r.poll), maxPause)
		case owed:
			apart, pause = comeBack, comeBack
		case n > 0: // there is more, or will soon be
			pause = wakeApart
		case r.active.Load():
			pause = r.poll
		default:
			pause = standbyPolls * r.poll
		}
	}
}

// wait returns pause after the last round began, or when another is asked for, though not sooner than apart, or when
// ctx has ended.
func (r *relay) wait(ctx context.Context, begun time.Time, apart, pause time.Duration) (woken, ended bool) {
	if !sleep(ctx, time.Until(begun.Add(min(apart, pause)))) {
		return false, true
	}
	rest := time.NewTimer(time.Until(begun.Add(pause)))
	defer rest.Stop()
	select {
	case <-ctx.Done():
		return false, true
	case <-r.woken:
		return true, false
	case <-rest.C:
	}
	return false, false
}

// round relays what waits in the outbox, at most one batch, and ticks if a tick is due. It returns how many changes it
// took, or that another relay had the lock: leader is true unless that is known. Unless it was asked for it only looks
// first: mostly there is nothing, and then it does not matter who has the lock.
func (r *relay) round(ctx context.Context, asked bool) (n int, leader bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	if !r.nc.IsConnected() {
		return 0, false, errors.New("the bus is away")
	}
	if err := r.makeStream(ctx); err != nil {
		return 0, false, err
	}
	var refused error
	waiting := asked
	if !asked {
		leader = true
		waiting, err = r.store.Waiting(ctx)
	}
	if waiting {
		n, leader, err = r.store.RelayOnce(ctx, func(changes []store.Change, since time.Time) error {
			refused = r.publish(ctx, changes, since)
			return refused
		})
	}
	if refused == nil { // else it was the bus
		r.outage.note(err)
	}
	if err == nil || refused != nil {
		r.answered.Store(time.Now().UnixNano())
	}
	if err == nil && leader {
		err = r.tick(ctx)
	}
	return n, leader, err
}

// forgetKeys deletes what is remembered of actions that nobody may repeat any more: at each tick of the active relay,
// so that one process of all does it, and so many at a time that it keeps up with 1,000 actions a second. It can wait:
// if it fails, changes go on.
func (r *relay) forgetKeys(ctx context.Context) {
	if _, err := r.store.ForgetKeys(ctx, wire.KeyAge); err != nil {
		r.log.Warn("relay", "err", err)
	}
}

// publish sends a batch as one message and returns once the stream has it on disk. No Nats-Msg-Id: an id of the outbox
// may be used again, after a restore, and the stream would drop what it took for a repetition. Repetitions do no harm,
// since the newest version wins.
func (r *relay) publish(ctx context.Context, changes []store.Change, since time.Time) error {
	batch := make([]wire.Change, len(changes))
	for i, c := range changes {
		batch[i] = wire.Change(c)
	}
	if err := r.send(ctx, &nats.Msg{
		Subject: wire.SubjectBatch,
		Data:    wire.EncodeChanges(batch),
		Header:  nats.Header{wire.HeaderSince: {wire.FormatTime(since)}},
	}); err != nil {
		return err
	}
	r.metrics.relayBatches.Inc()
	r.metrics.relayChanges.Add(float64(len(changes)))
	return nil
}

// tick says that changes are relayed and how far behind, once a second for the active relay and, when that has fallen
// silent, for others. Who ticks does what one of all has to do now and then.
func (r *relay) tick(ctx context.Context) error {
	due := tickEvery
	if !r.active.Load() {
		due += r.silence
	}
	if last := r.ticked.Load(); last != 0 && time.Since(time.Unix(0, last)) < due {
		return nil
	}
	now, err := r.store.Tick(ctx)
	if err != nil {
		return err
	}
	r.metrics.relayLag.Set(now.Lag.Seconds())
	err = r.send(ctx, &nats.Msg{
		Subject: wire.SubjectTick,
		Data:    wire.Tick{Time: now.Now, Lag: now.Lag}.Encode(),
		Header:  nats.Header{wire.HeaderWorker: {r.id}},
	})
	if err == nil {
		r.forgetKeys(ctx)
	}
	return err
}

func (r *relay) send(ctx context.Context, msg *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	if _, err := r.js.PublishMsg(ctx, msg); err != nil {
		r.stream = false // perhaps it is gone: look again
		return fmt.Errorf("publish %s: %w", msg.Subject, err)
	}
	return nil
}

// makeStream makes the stream if it is not there. One that is there is left as it is: its replicas and limits may be
// its operator's.
func (r *relay) makeStream(ctx context.Context) error {
	if r.stream {
		return nil
	}
	_, err := r.js.Stream(ctx, wire.StreamChanges)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = r.js.CreateStream(ctx, wire.ChangesConfig())
	}
	if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another relay was quicker
		return fmt.Errorf("make the stream %s: %w", wire.StreamChanges, err)
	}
	r.stream = true
	return nil
}
