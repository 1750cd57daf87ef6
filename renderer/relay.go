package renderer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

const (
	// wakeApart is the least time between the starts of two rounds: concurrent changes then share a message.
	wakeApart = 3 * time.Millisecond
	// comeBack is when a woken relay retries if another one had the lock: most likely that one takes the change in
	// its next round, unless it scanned before the commit.
	comeBack = 2 * wakeApart
	// standbyPolls is how many times less often a relay polls while another is active.
	standbyPolls = 3
	// heartbeatEvery is the interval of heartbeats of the active relay; silence is how much longer, at least, the
	// others wait for one.
	heartbeatEvery = time.Second
	silence        = 150 * time.Millisecond
	// publishLimit bounds the wait for the stream's acknowledgement. Postgres ends a transaction that idles for 2 s.
	publishLimit = 1500 * time.Millisecond
	// roundLimit bounds a round, maxPause the pause after a failed one.
	roundLimit = 3 * time.Second
	maxPause   = time.Second
)

// relay publishes changes from Postgres' outbox to the stream CHANGES.
//
// An advisory lock in Postgres lets one relay of all work at a time, so two that believe to be active do no harm. The
// active relay is the one whose heartbeat was heard last. It polls every Config.RelayPoll and sends heartbeats. The
// others poll less often, and one of them sends a heartbeat when one is overdue. When the active relay dies, the next
// poll of another one continues its work.
type relay struct {
	id      string
	site    string // the id of the database's site, once Postgres has answered
	store   *store.Store
	pool    *pgxpool.Pool // for messages
	nc      *nats.Conn
	js      jetstream.JetStream
	log     *slog.Logger
	metrics *metrics
	outage  *outage
	poll    time.Duration
	silence time.Duration // random, so that two relays rarely take over at once

	woken    chan struct{} // of capacity 1: a round is asked for
	answered atomic.Int64  // when Postgres last answered, as in package monotonic; 0: never
	heardAt  atomic.Int64  // when the last heartbeat was heard, likewise
	active   atomic.Bool
	stream   bool // the stream exists and is this site's, as far as known
	joined   bool // it has been this site's since this relay began

	unacked    atomic.Int64           // since when the stream acknowledges nothing, likewise; 0: it does
	reconnects uint64                 // of the connection to NATS, until then
	stalled    atomic.Pointer[error]  // nil: changes are relayed, or NATS is away
	config     jetstream.StreamConfig // of the stream
	resumed    chan struct{}          // of capacity 1: the stream takes messages again

	replicas     int           // of the stream and the buckets
	bucketsEvery time.Duration // how often the buckets are checked
}

func newRelay(s *Service) (*relay, error) {
	js, err := jetstream.New(s.nc)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	config := wire.ChangesConfig()
	config.Replicas = s.cfg.Replicas
	return &relay{
		id: s.id, store: s.store, pool: s.cfg.Pool, nc: s.nc, js: js, log: s.log, metrics: s.metrics, outage: s.outage,
		poll:    s.cfg.RelayPoll,
		silence: silence + rand.N(2*silence), woken: make(chan struct{}, 1), config: config,
		resumed: make(chan struct{}, 1), replicas: s.cfg.Replicas, bucketsEvery: bucketsEvery,
	}, nil
}

// wake asks for a round at once. It never blocks.
func (r *relay) wake() {
	select {
	case r.woken <- struct{}{}:
	default: // a round is asked for already
	}
}

// lastAnswer is when Postgres last answered, as in package monotonic; 0: never.
func (r *relay) lastAnswer() int64 { return r.answered.Load() }

// hearHeartbeat notes a heartbeat of the service with this id. Subscribers also hear one that the stream did not take:
// from this service it does not count.
func (r *relay) hearHeartbeat(id string) {
	if id == r.id && r.unacked.Load() != 0 {
		return
	}
	r.heardAt.Store(monotonic.Now())
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

// run relays until ctx ends, and then finishes its round under held. It retries failed rounds for ever. It returns an
// *OtherSiteError when the bus turns out to be another site's before this relay has joined it.
func (r *relay) run(ctx, held context.Context) error {
	var buckets sync.WaitGroup
	defer buckets.Wait()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	buckets.Go(func() { r.watchBuckets(watching, held) })
	begun, apart, pause := time.Now(), wakeApart, time.Duration(0)
	failing, owed, busy := false, false, false // owed: a round was asked for while another relay had the lock
	for {
		woken, ended := r.wait(ctx, begun, apart, pause)
		if ended {
			return nil
		}
		begun = time.Now()
		n, leader, err := r.round(held, woken || owed || busy)
		if !r.joined && isOtherSite(err) {
			return err
		}
		if err != nil {
			err = r.repair(held, err)
		} else if r.unacked.Load() == 0 {
			r.resume()
		}
		busy = n > 0
		owed, apart = !leader && (owed || woken), wakeApart
		if failing != (err != nil) { // log the start and the end, not every round
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
		case n > 0: // more wait, or will soon
			pause = wakeApart
		case r.active.Load():
			pause = r.poll
		default:
			pause = standbyPolls * r.poll
		}
	}
}

// wait returns pause after the last round started; or when a round is asked for, but not before apart has passed; or
// when ctx ends.
func (r *relay) wait(ctx context.Context, begun time.Time, apart, pause time.Duration) (woken, ended bool) {
	if !sleep.For(ctx, time.Until(begun.Add(min(apart, pause)))) {
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

// round relays at most one batch of changes, and sends a heartbeat if one is due. n is the number of changes taken.
// leader is false only if another relay is known to have the lock. Unless the round was asked for, it first checks
// for changes without the lock: usually there are none.
func (r *relay) round(ctx context.Context, asked bool) (n int, leader bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, roundLimit)
	defer cancel()
	if !r.nc.IsConnected() {
		return 0, false, errors.New("NATS is not connected")
	}
	if err := r.makeStream(ctx); err != nil {
		return 0, false, err
	}
	if err := r.outage.wait(ctx, roundLimit); err != nil {
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
	if refused == nil { // else the bus failed, not Postgres
		r.outage.note(err)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			r.outage.silent(roundLimit)
		}
	}
	if err == nil || refused != nil {
		r.answered.Store(monotonic.Now())
	}
	if err == nil && (leader || r.unacked.Load() != 0) {
		err = r.sendHeartbeat(ctx)
	}
	return n, leader, err
}

// forgetKeys deletes expired keys of actions, at each heartbeat of the active relay, so in one process of all. 1,000
// a second keep up with 1,000 actions a second. A failure does not stop the relay.
func (r *relay) forgetKeys(ctx context.Context) {
	if _, err := r.store.ForgetKeys(ctx, wire.KeyAge); err != nil {
		r.log.Warn("relay", "err", err)
	}
}

// publish sends a batch as one message and returns when the stream has stored it. It sets no Nats-Msg-Id: after a
// restore of the database outbox ids repeat, and the stream would drop changes as duplicates. Repeated changes do no
// harm, since the newest version wins.
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

// sendHeartbeat sends a heartbeat with the lag: once a second from the active relay, and from another one when that has
// fallen silent.
func (r *relay) sendHeartbeat(ctx context.Context) error {
	due := heartbeatEvery
	if !r.active.Load() {
		due += r.silence
	}
	// After a message that was not acknowledged only one that is tells that the stream takes messages: heartbeats are
	// heard also when it does not.
	last := r.heardAt.Load()
	if last != 0 && monotonic.Since(last) < due && r.unacked.Load() == 0 {
		return nil
	}
	now, err := r.store.OutboxState(ctx)
	if err != nil {
		return err
	}
	r.metrics.relayLag.Set(now.Lag.Seconds())
	err = r.send(ctx, &nats.Msg{
		Subject: wire.SubjectHeartbeat,
		Data:    wire.Heartbeat{Time: now.Now, Lag: now.Lag}.Encode(),
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
	reconnects := r.nc.Stats().Reconnects
	if _, err := r.js.PublishMsg(ctx, msg); err != nil {
		r.stream = false // it may be gone: check again
		r.notAcknowledged(reconnects)
		return &busError{"publish " + msg.Subject, err}
	}
	r.unacked.Store(0)
	return nil
}
