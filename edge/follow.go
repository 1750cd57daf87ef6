package edge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// follower reads the stream of changes, from its beginning, for as long as the edge runs, and tells freshness what it says and when not
// to believe. It also takes hints of changes that are not in the stream yet.
type follower struct {
	nc       *nats.Conn
	fresh    *freshness
	changes  prometheus.Observer // seconds from a change to having read it in the stream
	log      *slog.Logger
	caughtUp atomic.Bool

	last    atomic.Uint64 // sequence of the last message
	ticked  bool          // a live tick of this stream has come; the consumer alone uses it
	doubted bool          // of this stream, before or after; the consumer alone uses it
}

func newFollower(nc *nats.Conn, fresh *freshness, changes prometheus.Observer, log *slog.Logger) *follower {
	return &follower{nc: nc, fresh: fresh, changes: changes, log: log}
}

// liveBacklog is how many messages may wait behind a tick that still tells what time it is.
const liveBacklog = 100

// followPoll is how often the follower looks whether the stream is still the same, and retries what failed.
const followPoll = 500 * time.Millisecond

// run follows until ctx ends. Each round follows one stream; a round ends when that stream is found to be another.
func (f *follower) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.hear(ctx) })
	for ctx.Err() == nil {
		if err := f.round(ctx); err != nil && ctx.Err() == nil {
			f.log.Debug("changes: not followed", "err", err)
			sleep.For(ctx, followPoll)
		}
	}
}

func (f *follower) round(ctx context.Context) error {
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
	looked := time.Now()
	consumer, err := stream.OrderedConsumer(setup, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy})
	if err != nil {
		return err
	}
	// What changed before the stream was made was never told. How long ago that was is a difference of the server's own times, so that it
	// means the same on any clock; but when that was in cluster time is known only with the first tick. No copy is trusted before.
	f.fresh.forgetTicks()
	age := func() time.Duration { return info.TimeStamp.Sub(info.Created) + time.Since(looked) }
	f.last.Store(0)
	f.ticked, f.doubted = false, false
	until := info.State.LastSeq // what was there before: not live
	f.caughtUp.Store(info.State.Msgs == 0)
	consuming, err := consumer.Consume(func(m jetstream.Msg) { f.take(m, until, age) },
		jetstream.PullHeartbeat(time.Second), jetstream.PullExpiry(5*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { f.log.Debug("changes: consumer", "err", err) }))
	if err != nil {
		return err
	}
	defer func() {
		consuming.Stop()
		<-consuming.Closed()
	}()
	f.log.Info("changes: following", "sequence", until, "created", info.Created)
	f.watch(ctx, js, info.Created)
	return nil
}

// Hints that may wait, and how much they may be in bytes. More are dropped: the stream will tell.
const (
	hintBacklog = 1024
	hintBytes   = 1 << 20
)

// hear takes in, until ctx ends, what renderers say that actions have just changed. The stream tells the same some milliseconds later, and
// nothing rests on hints.
func (f *follower) hear(ctx context.Context) {
	sub, err := f.nc.SubscribeSync(wire.SubjectHint)
	if err == nil {
		defer func() { _ = sub.Unsubscribe() }()
		err = sub.SetPendingLimits(hintBacklog, hintBytes)
	}
	for err == nil || errors.Is(err, nats.ErrSlowConsumer) { // some were dropped
		var m *nats.Msg
		if m, err = sub.NextMsgWithContext(ctx); err == nil {
			f.hint(m.Data)
		}
	}
	if ctx.Err() == nil {
		f.log.Warn("changes: no hints any more, so that those of actions are heard of a little later", "err", err)
	}
}

func (f *follower) hint(data []byte) {
	changes, err := wire.DecodeChanges(data)
	if err != nil {
		f.log.Debug("changes: hint", "err", err)
	}
	for _, c := range changes {
		f.fresh.learn(c)
	}
}

// take handles one message; the consumer calls it in order, one at a time. What is after until is live; age is the stream's.
func (f *follower) take(m jetstream.Msg, until uint64, age func() time.Duration) {
	meta, err := m.Metadata()
	if err != nil {
		f.doubt("a message without metadata", err)
		return
	}
	seq, now := meta.Sequence.Stream, time.Now()
	if last := f.last.Swap(seq); last != 0 && seq != last+1 {
		f.doubt("a gap in the stream", nil, "after", last, "next", seq)
	}
	live := seq > until && meta.NumPending < liveBacklog
	switch m.Subject() {
	case wire.SubjectBatch:
		changes, err := wire.DecodeChanges(m.Data())
		if err != nil {
			f.doubt("a batch that cannot be read", err)
		}
		for _, c := range changes {
			f.fresh.learn(c)
		}
		// Relays of the release before do not say since when.
		if since, ok := wire.ParseTime(m.Headers().Get(wire.HeaderSince)); ok && seq > until {
			f.changes.Observe(f.fresh.clock.Now().Sub(since).Seconds())
		}
	case wire.SubjectTick:
		t, err := wire.DecodeTick(m.Data())
		switch {
		case err != nil:
			f.log.Warn("changes: tick", "err", err)
		case live:
			f.tick(t, now, age())
		}
	}
	if seq >= until {
		f.caughtUp.Store(true)
	}
}

// tick takes in a live tick. One that comes late, because this process was frozen or cut off, is good for as much shorter.
func (f *follower) tick(t wire.Tick, now time.Time, age time.Duration) {
	late := f.fresh.clock.Now().Sub(t.Time)
	f.fresh.clock.Observe(t, now)
	if !f.ticked { // only now is it known what time it is
		f.ticked, late = true, 0
		f.fresh.distrust(age)
		if f.doubted {
			f.fresh.distrust(0)
		}
	}
	f.fresh.tick(t, late)
}

func (f *follower) doubt(what string, err error, args ...any) {
	f.log.Warn("changes: "+what+"; no older copy is trusted", append(args, "err", err)...)
	if f.ticked {
		f.fresh.distrust(0)
	}
	f.doubted = true
}

// watch returns when the stream must be followed anew: it was deleted and made again. Under the same name that happens without any error,
// and its consumer goes on from the old sequence, so the only sign is the stream's own time of creation.
func (f *follower) watch(ctx context.Context, js jetstream.JetStream, created time.Time) {
	for wasBlind := true; sleep.For(ctx, followPoll); { // until the first tick
		if blind := f.fresh.blind(); blind != wasBlind {
			wasBlind = blind
			f.log.Info("changes: copies are trusted while the relay's ticks come", "trusted", !blind)
		}
		if !f.nc.IsConnected() {
			continue
		}
		look, cancel := context.WithTimeout(ctx, time.Second)
		stream, err := js.Stream(look, wire.StreamChanges)
		cancel()
		if err == nil && !stream.CachedInfo().Created.Equal(created) {
			f.log.Warn("changes: the stream was made anew", "created", stream.CachedInfo().Created)
			return
		}
	}
}
