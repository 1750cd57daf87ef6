package renderer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
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
	// storeLimit bounds the wait until the stream has stored a new batch. Meanwhile no other batch is published; after
	// it, batches are not published to the stream until it acknowledges something.
	storeLimit = 250 * time.Millisecond
	// resendLimit bounds it for what the stream has not stored the first time: a slow stream would else never have all.
	// No other batch is published meanwhile, and edges trust no copy when a change waits for more than a second.
	resendLimit = 750 * time.Millisecond
	// publishLimit bounds the wait for any other acknowledgement of the stream.
	publishLimit = 1500 * time.Millisecond
	// roundLimit bounds a round, maxPause the pause after a failed one.
	roundLimit = 3 * time.Second
	maxPause   = time.Second
)

// relay publishes changes from Postgres' outbox, to all edges at once and to the stream CHANGES, which edges read that
// have just begun or missed something.
//
// An advisory lock in Postgres lets one relay of all work at a time, so two that believe to be active do no harm. The
// active relay is the one whose heartbeat was heard last. It polls every Config.RelayPoll and sends heartbeats. The
// others poll less often, and one of them sends a heartbeat when one is overdue. When the active relay dies, the next
// poll of another one continues its work.
//
// While the stream stores nothing, as during the election of its leader, changes and heartbeats reach edges
// nevertheless. Postgres keeps what is not stored, and the relay publishes it again when the stream takes messages.
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
	batches int           // published so far; with id it names them
	sentAt  int64         // when it last sent a heartbeat, as in package monotonic; 0: never
	missed  bool          // the round before found the heartbeat of another relay overdue

	woken    chan struct{} // of capacity 1: a round is asked for
	answered atomic.Int64  // when Postgres last answered, as in package monotonic; 0: never
	heardAt  atomic.Int64  // when the last heartbeat was heard, likewise
	active   atomic.Bool
	joined   atomic.Bool    // the stream has been this site's since this relay began
	storing  sync.WaitGroup // heartbeats that are sent to the stream

	unacked    atomic.Int64           // since when the stream acknowledges nothing, likewise; 0: it does
	reconnects atomic.Uint64          // of the connection to NATS, until then
	stalled    atomic.Pointer[error]  // nil: changes are stored, or NATS is away
	stream     bool                   // the stream exists and is this site's, as far as known; only keepStream uses it
	config     jetstream.StreamConfig // of the stream; likewise
	check      chan struct{}          // of capacity 1: the stream has not acknowledged a message
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
		check: make(chan struct{}, 1), resumed: make(chan struct{}, 1),
		replicas: s.cfg.Replicas, bucketsEvery: bucketsEvery,
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

// hearHeartbeat notes a heartbeat of the service with this id.
func (r *relay) hearHeartbeat(id string) {
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
	var helpers sync.WaitGroup
	defer r.storing.Wait()
	defer helpers.Wait()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	helpers.Go(func() { r.watchBuckets(ctx, held) })
	helpers.Go(func() {
		if err := r.keepStream(ctx); err != nil {
			stop(err)
		}
	})
	begun, apart, pause := time.Now(), wakeApart, time.Duration(0)
	failing, owed, busy := false, false, false // owed: a round was asked for while another relay had the lock
	for {
		woken, ended := r.wait(ctx, begun, apart, pause)
		if ended {
			if err := context.Cause(ctx); isOtherSite(err) {
				return err
			}
			return nil
		}
		begun = time.Now()
		n, leader, err := r.round(held, woken || owed || busy)
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
	if !r.joined.Load() {
		return 0, false, errors.New("whose the stream " + wire.StreamChanges + " is has not been checked")
	}
	if err := r.outage.wait(ctx, roundLimit); err != nil {
		return 0, false, err
	}
	var refused error
	waiting, resend := asked, r.unacked.Load() == 0
	if !asked {
		leader = true
		waiting, err = r.store.Waiting(ctx, resend)
	}
	if waiting {
		r.batches++
		name := r.id + "." + strconv.Itoa(r.batches)
		n, leader, err = r.store.RelayOnce(ctx, name, resend, func(b store.Batch) (stored bool, err error) {
			stored, refused = r.publish(ctx, b)
			return stored, refused
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
	// A round that the bus failed has waited for it, perhaps for long. A heartbeat says nothing of its batch.
	if leader && (err == nil || refused != nil) {
		err = errors.Join(err, r.sendHeartbeat(ctx))
	}
	return n, leader, err
}

// forget deletes expired keys of actions and what heartbeats repeat no more, at each heartbeat of the active relay, so
// in one process of all. 1,000 keys a second keep up with 1,000 actions a second. A failure does not stop the relay.
func (r *relay) forget(ctx context.Context) {
	_, err := r.store.ForgetKeys(ctx, wire.KeyAge)
	if err = errors.Join(err, r.store.ForgetRelayed(ctx)); err != nil {
		r.log.Warn("relay", "err", err)
	}
}

// batchMsg is the message of a batch.
func batchMsg(subject string, b store.Batch) *nats.Msg {
	batch := make([]wire.Change, len(b.Changes))
	for i, c := range b.Changes {
		batch[i] = wire.Change(c)
	}
	msg := &nats.Msg{Subject: subject, Data: wire.EncodeChanges(batch), Header: nats.Header{}}
	wire.Link{Batch: b.Message, After: b.After}.Set(msg.Header)
	if !b.Since.IsZero() {
		msg.Header.Set(wire.HeaderSince, wire.FormatTime(b.Since))
	}
	return msg
}

// publish sends a batch to the edges and to the stream, as one message each, and reports whether the stream has stored
// it. It sets no Nats-Msg-Id: after a restore of the database outbox ids repeat, and the stream would drop changes as
// duplicates. Repeated changes do no harm, since the newest version wins. An error means that no edge may have heard
// it.
func (r *relay) publish(ctx context.Context, b store.Batch) (stored bool, err error) {
	reconnects := r.nc.Stats().Reconnects
	if err := r.nc.PublishMsg(batchMsg(wire.SubjectLiveBatch, b)); err != nil {
		return false, &busError{"publish " + wire.SubjectLiveBatch, err}
	}
	msg := batchMsg(wire.SubjectBatch, b)
	if r.unacked.Load() == 0 { // else keepStream finds out when the stream is back, and it has this then
		limit := storeLimit
		if b.Again {
			limit = resendLimit
		}
		err = r.storeMsg(ctx, limit, msg)
		stored = err == nil
	}
	if !stored && (!r.nc.IsConnected() || r.nc.Stats().Reconnects != reconnects) {
		return false, &busError{"publish " + msg.Subject, cmp.Or(err, errors.New("the connection broke"))}
	}
	r.metrics.relayBatches.Inc()
	r.metrics.relayChanges.Add(float64(len(b.Changes)))
	return stored, nil
}

// sendHeartbeat sends a heartbeat with the lag: once a second from the active relay, and from another one when that has
// fallen silent. Before it, edges hear the batches of the last seconds once more, as one.
func (r *relay) sendHeartbeat(ctx context.Context) error {
	due := heartbeatEvery
	if !r.active.Load() {
		due += r.silence
	}
	last := max(r.heardAt.Load(), r.sentAt) // it may not have heard its own yet
	if last != 0 && monotonic.Since(last) < due {
		r.missed = false
		return nil
	}
	// A process that stood still, as on a busy machine, finds heartbeats overdue that have come and are not read yet.
	// So it looks again in the next round before it takes over.
	if last != 0 && !r.active.Load() && !r.missed {
		r.missed = true
		return nil
	}
	r.missed = false
	now, err := r.store.OutboxState(ctx)
	if err != nil {
		return err
	}
	r.metrics.relayLag.Set(now.Lag.Seconds())
	if len(now.Recent.Changes) > 0 {
		if err := r.nc.PublishMsg(batchMsg(wire.SubjectLiveBatch, now.Recent)); err != nil {
			return &busError{"publish " + wire.SubjectLiveBatch, err}
		}
	}
	heartbeat := wire.Heartbeat{Time: now.Now, Lag: now.Lag, Last: now.Last, Unstored: now.Unstored}.Encode()
	r.forget(ctx)
	header := nats.Header{wire.HeaderWorker: {r.id}}
	err = r.nc.PublishMsg(&nats.Msg{Subject: wire.SubjectLiveHeartbeat, Data: heartbeat, Header: header})
	if err != nil {
		return &busError{"publish " + wire.SubjectLiveHeartbeat, err}
	}
	r.sentAt = monotonic.Now()
	ctx = context.WithoutCancel(ctx)
	r.storing.Go(func() { // the next one does not wait for it; at most two at a time, as each has publishLimit
		_ = r.storeMsg(ctx, publishLimit, &nats.Msg{Subject: wire.SubjectHeartbeat, Data: heartbeat, Header: header})
	})
	return nil
}

// storeMsg publishes a message to the stream and returns when that has acknowledged it.
func (r *relay) storeMsg(ctx context.Context, limit time.Duration, msg *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reconnects := r.nc.Stats().Reconnects
	if _, err := r.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0)); err != nil {
		r.notAcknowledged(reconnects)
		return &busError{"publish " + msg.Subject, err}
	}
	r.unacked.Store(0)
	return nil
}
