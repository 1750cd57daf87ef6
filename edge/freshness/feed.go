package freshness

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Feed tells a Tracker what changed, and whether it may have missed a change.
//
// Relays send each batch of changes and each heartbeat to all edges at once, and to the stream CHANGES. Batches are a
// chain, so a Feed knows by the batch that a heartbeat names whether it has missed any. What it missed it hears again
// from the relay, within 5 s, or reads in the stream, which it follows from its beginning. So the stream may be away
// while a Feed misses nothing. Feed also listens for early invalidations: changes that are in no batch yet.
type Feed struct {
	nc        *nats.Conn
	tracker   *Tracker
	metrics   FeedMetrics
	log       *slog.Logger
	caughtUp  atomic.Bool
	lapsed    atomic.Bool   // the feed is stale, and was current or should have become so
	last      atomic.Uint64 // sequence number of the last message of the stream
	uncertain chan struct{} // of capacity 1: a heartbeat has come that does not count yet

	mu     sync.Mutex
	chain  chain
	proven bool // what this edge knows goes back to the beginning of this stream, or further
	gap    bool // a message of this stream was missed since
	lost   bool // one was missed before the beginning of the chain, which is not confirmed
}

// FeedMetrics are the metrics of a feed.
type FeedMetrics struct {
	Delay      prometheus.Observer // seconds from the write of a change to the arrival of its batch
	Unreadable prometheus.Counter  // messages of the stream that could not be read
	Pauses     prometheus.Counter  // times when this process did not run
}

// NewFeed returns a Feed for Run.
func NewFeed(nc *nats.Conn, tracker *Tracker, m FeedMetrics, log *slog.Logger) *Feed {
	return &Feed{nc: nc, tracker: tracker, metrics: m, log: log, uncertain: make(chan struct{}, 1)}
}

const (
	liveBacklog = 100                    // a heartbeat with more messages behind it is too old to tell the time
	retryEvery  = 500 * time.Millisecond // between retries, and between checks whether heartbeats count

	silence = 10 * time.Second // after which an edge subscribes anew

	// Messages that are in no stream and may wait. More are dropped: the next heartbeat tells that.
	liveMessages = 8192
	liveBytes    = 16 << 20
)

// CaughtUp reports whether the stream has been read to its end once.
func (f *Feed) CaughtUp() bool { return f.caughtUp.Load() }

// Lapsed reports that no good heartbeat comes, although the edge follows the stream.
func (f *Feed) Lapsed() bool { return f.lapsed.Load() }

// Run follows the stream until ctx ends. Each round follows one stream and ends when that was replaced by another.
func (f *Feed) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.listen(ctx) })
	wg.Go(func() {
		f.tracker.noticePauses(ctx, func(gap time.Duration) {
			f.metrics.Pauses.Inc()
			f.log.Warn("this process did not run; pages older than a second wait for a heartbeat", "took", gap)
		})
	})
	for ctx.Err() == nil {
		if err := f.round(ctx); err != nil && ctx.Err() == nil {
			f.log.Debug("cannot follow the stream of changes", "err", err)
			sleep.For(ctx, retryEvery)
		}
	}
}

func (f *Feed) round(ctx context.Context) error {
	js, err := jetstream.New(f.nc)
	if err != nil {
		return err
	}
	setup, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	stream, err := js.Stream(setup, wire.StreamChanges)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	requested := time.Now()
	consumer, err := stream.OrderedConsumer(setup, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return err
	}
	// The stream's age is a difference of two times of the server, so it is right whatever this machine's clock says.
	age := func() time.Duration { return info.TimeStamp.Sub(info.Created) + time.Since(requested) }
	f.last.Store(0)
	f.beginStream()
	until := info.State.LastSeq // older messages are not live
	f.caughtUp.Store(info.State.Msgs == 0)
	consuming, err := consumer.Consume(func(m jetstream.Msg) { f.message(m, until) },
		jetstream.PullHeartbeat(time.Second), jetstream.PullExpiry(5*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			f.log.Debug("the consumer of the stream of changes reports an error", "err", err)
		}))
	if err != nil {
		return err
	}
	defer func() {
		consuming.Stop()
		<-consuming.Closed()
	}()
	f.log.Info("following the stream of changes", "sequence", until, "created", info.Created)
	f.watch(ctx, js, info.Created, age, consuming.Closed())
	return nil
}

// beginStream notes that this edge begins to read a stream. What it knows already it has not missed.
func (f *Feed) beginStream() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.proven, f.gap, f.lost = false, false, false
	if !f.chain.confirmed {
		f.chain = chain{begun: f.chain.begun}
	}
}

// listen hears what is sent to all edges at once, until ctx ends or the connection is closed.
func (f *Feed) listen(ctx context.Context) {
	for ctx.Err() == nil && !f.nc.IsClosed() {
		err := f.hear(ctx)
		if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			f.log.Warn("this edge hears changes through the stream alone, a little later", "err", err)
			sleep.For(ctx, retryEvery)
		}
	}
}

// hear subscribes and hears until ctx ends or nothing has come for silence, although a relay speaks once a second: then
// NATS may have refused the subscription, which it tells nobody that waits, and take it since its configuration was
// loaded again.
func (f *Feed) hear(ctx context.Context) error {
	sub, err := f.nc.SubscribeSync(wire.SubjectLive)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(liveMessages, liveBytes); err != nil {
		return err
	}
	for {
		waiting, cancel := context.WithTimeout(ctx, silence)
		m, err := sub.NextMsgWithContext(waiting)
		cancel()
		switch {
		case err == nil:
			f.live(m)
		case !errors.Is(err, nats.ErrSlowConsumer): // else some were dropped
			return err
		}
	}
}

// live handles a message that is in no stream.
func (f *Feed) live(m *nats.Msg) {
	if m.Subject == wire.SubjectLiveHeartbeat {
		h, err := wire.DecodeHeartbeat(m.Data)
		if err != nil {
			f.log.Debug("cannot read a heartbeat", "err", err)
			return
		}
		f.heartbeat(h)
		return
	}
	changes, err := wire.DecodeChanges(m.Data)
	if err != nil {
		f.log.Debug("cannot read changes", "subject", m.Subject, "err", err)
		return
	}
	f.learn(changes, m.Header, true)
}

// learn records the changes of a batch, or of an early invalidation. It times those that are new.
func (f *Feed) learn(changes []wire.Change, header nats.Header, timed bool) {
	for _, c := range changes {
		f.tracker.Learn(c)
	}
	link := wire.LinkOf(header)
	f.mu.Lock()
	isNew := f.chain.follow(link) || link.Batch == ""
	if h, ok := f.chain.due(); ok {
		f.tracker.heartbeat(h, f.tracker.clock.Now().Sub(h.Time))
	}
	f.mu.Unlock()
	if since, ok := wire.ParseTime(header.Get(wire.HeaderSince)); ok && timed && isNew {
		f.metrics.Delay.Observe(f.tracker.clock.Now().Sub(since).Seconds())
	}
}

// message handles one message of the stream; the consumer calls it in order, one at a time. Messages after until are
// live.
func (f *Feed) message(m jetstream.Msg, until uint64) {
	meta, err := m.Metadata()
	if err != nil {
		f.suspectLoss("a message without metadata", err)
		return
	}
	seq := meta.Sequence.Stream
	if last := f.last.Swap(seq); last != 0 && seq != last+1 {
		f.suspectLoss("a gap in the stream", nil, "after", last, "next", seq)
	}
	switch m.Subject() {
	case wire.SubjectBatch:
		changes, err := wire.DecodeChanges(m.Data())
		if err != nil { // relays send none; the stream has no gap, so no change was lost
			f.metrics.Unreadable.Inc()
			f.log.Warn("skipped an unreadable message on the stream of changes", "sequence", seq, "err", err)
			break
		}
		f.learn(changes, m.Headers(), seq > until)
	case wire.SubjectHeartbeat:
		h, err := wire.DecodeHeartbeat(m.Data())
		if err != nil {
			f.metrics.Unreadable.Inc()
			f.log.Warn("skipped an unreadable message on the stream of changes", "sequence", seq, "err", err)
			break
		}
		if !h.Unstored {
			f.stored(h.Last)
		}
		if seq > until && meta.NumPending < liveBacklog {
			f.heartbeat(h)
		}
	}
	if seq >= until {
		f.caughtUp.Store(true)
	}
}

// stored notes that the stream holds all changes up to a batch, or did, in messages before this one.
func (f *Feed) stored(batch string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.chain.has(batch) {
		f.gap = false // it heard what it did not read
		f.proven = f.proven || f.chain.confirmed
		return
	}
	f.lost = f.gap || f.lost && !f.chain.confirmed
	f.gap = false
	f.chain.begin(batch)
	f.wake()
}

// heartbeat records a live heartbeat, if this edge knows the batches that it relies on. One that is late, because this
// process was frozen or disconnected, is good for less time.
func (f *Feed) heartbeat(h wire.Heartbeat) {
	clock := f.tracker.clock
	var late time.Duration // not known before the first one
	if clock.Known() {
		late = clock.Now().Sub(h.Time)
	}
	clock.Observe(h, time.Now())
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.chain.counts(h) {
		f.tracker.heartbeat(h, late)
	} else {
		f.wake()
	}
}

// wake has watch look at once. It never waits.
func (f *Feed) wake() {
	select {
	case f.uncertain <- struct{}{}:
	default: // it will
	}
}

// suspectLoss notes that a message of the stream was missed.
func (f *Feed) suspectLoss(reason string, err error, args ...any) {
	f.log.Warn("a message of the stream of changes was missed", append(args, "reason", reason, "err", err)...)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gap = true
}

// confirm notes that the stream is the one that this edge reads, as asked after a chain had begun the given number of
// times. Changes from before the stream was made may be unknown, and all until now after a gap in it.
func (f *Feed) confirm(begun int, age time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.chain.confirmed || len(f.chain.known) == 0 || f.chain.begun != begun || !f.tracker.clock.Known() {
		return
	}
	switch {
	case f.lost:
		f.log.Warn("changes may have been missed; older pages are invalid")
		f.tracker.invalidateBefore(0)
	case !f.proven:
		f.tracker.invalidateBefore(age)
	}
	f.chain.confirmed, f.proven, f.lost = true, true, false
	if h, ok := f.chain.due(); ok {
		f.tracker.heartbeat(h, f.tracker.clock.Now().Sub(h.Time))
	}
}

// watch returns when the stream was deleted and made again, or its consumer has ended. A consumer goes on in a stream
// that was made again, from the old sequence number and without an error, so the time of creation is the only sign. It
// matters only to an edge that has to rely on the stream, and must be the same after the message that it relies on.
func (f *Feed) watch(
	ctx context.Context, js jetstream.JetStream, created time.Time, age func() time.Duration, closed <-chan struct{},
) {
	began := time.Now()
	soon := time.NewTicker(retryEvery)
	defer soon.Stop()
	for wasStale := true; ; { // stale until the first heartbeat
		select {
		case <-ctx.Done():
			return
		case <-closed:
			return
		case <-f.uncertain:
		case <-soon.C:
		}
		f.lapsed.Store(f.tracker.FeedStale() && (!wasStale || f.lapsed.Load() || time.Since(began) > heartbeatGrace))
		if stale := f.tracker.FeedStale(); stale != wasStale {
			wasStale = stale
			if stale {
				f.log.Warn("the feed of changes is stale: the relay sends no heartbeat, or lags by more than 1 s")
			} else {
				f.log.Info("the feed of changes is current")
			}
		}
		f.mu.Lock()
		waits, begun := f.chain.waits(), f.chain.begun
		f.mu.Unlock()
		if !f.nc.IsConnected() || !waits && !f.tracker.FeedStale() {
			continue
		}
		read := f.last.Load()
		asking, cancel := context.WithTimeout(ctx, time.Second)
		stream, err := js.Stream(asking, wire.StreamChanges)
		cancel()
		if err != nil {
			continue
		}
		if !stream.CachedInfo().Created.Equal(created) {
			f.log.Warn("the stream of changes was replaced", "created", stream.CachedInfo().Created)
			return
		}
		if last := stream.CachedInfo().State.LastSeq; last < read { // others follow in the places of what was lost
			f.suspectLoss("the stream has lost its end", nil, "read", read, "last", last)
		}
		f.confirm(begun, age())
	}
}
