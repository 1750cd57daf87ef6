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

// Feed reads the stream CHANGES from its beginning, tells a Tracker what changed, and tells it when changes may have
// been missed. It also listens for early invalidations: changes that are not in the stream yet.
type Feed struct {
	nc       *nats.Conn
	tracker  *Tracker
	metrics  FeedMetrics
	log      *slog.Logger
	caughtUp atomic.Bool

	last    atomic.Uint64 // sequence number of the last message
	timed   bool          // a live heartbeat of this stream has come; only the consumer uses it
	suspect bool          // a message of this stream was missed, at any time; only the consumer uses it
}

// FeedMetrics are the metrics of a feed.
type FeedMetrics struct {
	Delay      prometheus.Observer // seconds from the write of a change to its arrival here through the stream
	Unreadable prometheus.Counter  // messages of the stream that could not be read
	Pauses     prometheus.Counter  // times when this process did not run
}

// NewFeed returns a Feed for Run.
func NewFeed(nc *nats.Conn, tracker *Tracker, m FeedMetrics, log *slog.Logger) *Feed {
	return &Feed{nc: nc, tracker: tracker, metrics: m, log: log}
}

const (
	liveBacklog = 100                    // a heartbeat with more messages behind it is too old to tell the time
	retryEvery  = 500 * time.Millisecond // between retries, and between checks whether the stream was replaced

	// Early invalidations that may wait. More are dropped: the stream delivers the same changes.
	earlyBacklog = 1024
	earlyBytes   = 1 << 20
)

// CaughtUp reports whether the stream has been read to its end once.
func (f *Feed) CaughtUp() bool { return f.caughtUp.Load() }

// Run follows the stream until ctx ends. Each round follows one stream and ends when that was replaced by another.
func (f *Feed) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.earlyInvalidations(ctx) })
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
	// Changes from before the stream was made are unknown. Its age is a difference of two times of the server, so it is
	// right whatever this machine's clock says; cluster time, from which it is subtracted, is known with the first
	// heartbeat. Until then the feed is stale.
	f.tracker.forgetHeartbeats()
	age := func() time.Duration { return info.TimeStamp.Sub(info.Created) + time.Since(requested) }
	f.last.Store(0)
	f.timed, f.suspect = false, false
	until := info.State.LastSeq // older messages are not live
	f.caughtUp.Store(info.State.Msgs == 0)
	consuming, err := consumer.Consume(func(m jetstream.Msg) { f.message(m, until, age) },
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
	f.watch(ctx, js, info.Created)
	return nil
}

// earlyInvalidations learns early invalidations until ctx ends. They are best effort: the stream delivers every change
// some milliseconds later.
func (f *Feed) earlyInvalidations(ctx context.Context) {
	sub, err := f.nc.SubscribeSync(wire.SubjectEarlyInvalidation)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
		err = sub.SetPendingLimits(earlyBacklog, earlyBytes)
	}
	for err == nil || errors.Is(err, nats.ErrSlowConsumer) { // some were dropped
		var m *nats.Msg
		if m, err = sub.NextMsgWithContext(ctx); err == nil {
			f.learnEarlyInvalidation(m.Data)
		}
	}
	if ctx.Err() == nil {
		f.log.Warn("early invalidations have ended; changes arrive through the stream, a little later", "err", err)
	}
}

func (f *Feed) learnEarlyInvalidation(data []byte) {
	changes, err := wire.DecodeChanges(data)
	if err != nil {
		f.log.Debug("cannot read an early invalidation", "err", err)
	}
	for _, c := range changes {
		f.tracker.Learn(c)
	}
}

// message handles one message of the stream; the consumer calls it in order, one at a time. Messages after until are
// live. age is the stream's.
func (f *Feed) message(m jetstream.Msg, until uint64, age func() time.Duration) {
	meta, err := m.Metadata()
	if err != nil {
		f.suspectLoss("a message without metadata", err)
		return
	}
	seq, now := meta.Sequence.Stream, time.Now()
	if last := f.last.Swap(seq); last != 0 && seq != last+1 {
		f.suspectLoss("a gap in the stream", nil, "after", last, "next", seq)
	}
	live := seq > until && meta.NumPending < liveBacklog
	switch m.Subject() {
	case wire.SubjectBatch:
		changes, err := wire.DecodeChanges(m.Data())
		if err != nil { // relays send none; the stream has no gap, so no change was lost
			f.metrics.Unreadable.Inc()
			f.log.Warn("skipped an unreadable message on the stream of changes", "sequence", seq, "err", err)
		}
		for _, c := range changes {
			f.tracker.Learn(c)
		}
		// Relays of the previous release do not send the time of the write.
		if since, ok := wire.ParseTime(m.Headers().Get(wire.HeaderSince)); ok && seq > until {
			f.metrics.Delay.Observe(f.tracker.clock.Now().Sub(since).Seconds())
		}
	case wire.SubjectHeartbeat:
		h, err := wire.DecodeHeartbeat(m.Data())
		switch {
		case err != nil:
			f.metrics.Unreadable.Inc()
			f.log.Warn("skipped an unreadable message on the stream of changes", "sequence", seq, "err", err)
		case live:
			f.heartbeat(h, now, age())
		}
	}
	if seq >= until {
		f.caughtUp.Store(true)
	}
}

// heartbeat records a live heartbeat. One that is late, because this process was frozen or disconnected, is good for
// less time.
func (f *Feed) heartbeat(h wire.Heartbeat, now time.Time, age time.Duration) {
	late := f.tracker.clock.Now().Sub(h.Time)
	f.tracker.clock.Observe(h, now)
	if !f.timed { // cluster time is known only now
		f.timed, late = true, 0
		f.tracker.invalidateBefore(age)
		if f.suspect {
			f.tracker.invalidateBefore(0)
		}
	}
	f.tracker.heartbeat(h, late)
}

// suspectLoss invalidates every page read until now: a change may have been missed.
func (f *Feed) suspectLoss(reason string, err error, args ...any) {
	f.log.Warn("changes may have been missed; older pages are invalid", append(args, "reason", reason, "err", err)...)
	if f.timed {
		f.tracker.invalidateBefore(0)
	}
	f.suspect = true
}

// watch returns when the stream was deleted and made again. Its consumer then continues from the old sequence number
// without an error, so the stream's time of creation is the only sign.
func (f *Feed) watch(ctx context.Context, js jetstream.JetStream, created time.Time) {
	for wasStale := true; sleep.For(ctx, retryEvery); { // stale until the first heartbeat
		if stale := f.tracker.FeedStale(); stale != wasStale {
			wasStale = stale
			if stale {
				f.log.Warn("the feed of changes is stale: the relay sends no heartbeat, or lags by more than 1 s")
			} else {
				f.log.Info("the feed of changes is current")
			}
		}
		if !f.nc.IsConnected() {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, time.Second)
		stream, err := js.Stream(asking, wire.StreamChanges)
		cancel()
		if err == nil && !stream.CachedInfo().Created.Equal(created) {
			f.log.Warn("the stream of changes was replaced", "created", stream.CachedInfo().Created)
			return
		}
	}
}
