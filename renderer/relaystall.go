package renderer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/wire"
)

// streamEvery is how often keepStream looks, besides when a message was not acknowledged.
const streamEvery = 500 * time.Millisecond

// remakeAfter is how long the stream may acknowledge nothing, although NATS answers, before it is made anew.
const remakeAfter = 3 * time.Second

// errStalled: NATS answers, and stores nothing. After a failed write to its disk, a stream takes no message until the
// server restarts or the stream is made anew, also when there is room again.
var errStalled = errors.New("the stream " + wire.StreamChanges + " takes no messages; is the disk of NATS full?")

// busError is a failure of the stream, not of Postgres.
type busError struct {
	op  string
	err error
}

func (e *busError) Error() string { return e.op + ": " + e.err.Error() }
func (e *busError) Unwrap() error { return e.err }

// stalledError is why changes are not relayed although NATS answers; nil while they are.
func (r *relay) stalledError() error {
	if err := r.stalled.Load(); err != nil {
		return *err
	}
	return nil
}

func (r *relay) setStalled(err error) {
	if r.stalled.Swap(&err) == nil {
		r.metrics.relayStalled.Set(1)
		r.log.Warn("relay", "stalled", true, "err", err)
	}
}

// notAcknowledged records that the stream has not acknowledged a message, before which the connection to NATS had been
// made again so often.
func (r *relay) notAcknowledged(reconnects uint64) {
	if r.unacked.CompareAndSwap(0, monotonic.Now()) {
		r.reconnects.Store(reconnects)
		select {
		case r.check <- struct{}{}:
		default: // a check is already requested
		}
	}
}

// resume ends the stall when the stream acknowledges messages.
func (r *relay) resume() {
	if r.stalled.Swap(nil) == nil {
		return
	}
	r.metrics.relayStalled.Set(0)
	r.log.Warn("relay", "stalled", false)
	select {
	case r.resumed <- struct{}{}:
	default: // a check is already requested
	}
}

// keepStream makes sure, until ctx ends, that the stream exists and stores messages. While it stores none, keepStream
// sends it one without changes now and then. It returns an *OtherSiteError when the bus turns out to be another site's
// before this relay has joined it.
func (r *relay) keepStream(ctx context.Context) error {
	for {
		if err := r.checkStream(ctx); isOtherSite(err) && !r.joined.Load() {
			return err
		}
		if r.unacked.Load() == 0 {
			r.resume()
		}
		rest := time.NewTimer(streamEvery)
		select {
		case <-ctx.Done():
			rest.Stop()
			return nil
		case <-r.check:
		case <-rest.C:
		}
		rest.Stop()
	}
}

// checkStream makes the stream, if that may be missing, and finds out whether it stores messages again.
func (r *relay) checkStream(ctx context.Context) error {
	silent := r.unacked.Load() != 0
	if r.stream && !silent || !r.nc.IsConnected() {
		return nil
	}
	r.stream = false
	making, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	err := r.makeStream(making)
	if err == nil && silent {
		err = r.storeMsg(ctx, publishLimit, &nats.Msg{Subject: wire.SubjectBatch}) // of no changes
	}
	if err == nil || ctx.Err() != nil {
		return err
	}
	return r.repair(ctx, err)
}

// repair finds out why a message was not stored. If NATS answers, and the stream has stored nothing for remakeAfter,
// repair deletes the stream; the next check makes it anew, as soon as there is room. What it held is not needed: an
// edge that begins, or has missed something, trusts no copy that is older than the stream, and Postgres keeps what was
// not acknowledged.
func (r *relay) repair(ctx context.Context, cause error) error {
	since := r.unacked.Load()
	if isOtherSite(cause) || since == 0 || !r.nc.IsConnected() {
		return cause
	}
	if now := r.nc.Stats().Reconnects; now != r.reconnects.Load() { // NATS was away: begin again
		r.reconnects.Store(now)
		r.unacked.Store(monotonic.Now())
		return cause
	}
	ctx, cancel := context.WithTimeout(ctx, publishLimit)
	defer cancel()
	stream, err := r.js.Stream(ctx, wire.StreamChanges)
	if errors.Is(err, jetstream.ErrStreamNotFound) { // cause says why it cannot be made
		cause = fmt.Errorf("%w: %w", errStalled, cause)
		r.setStalled(cause)
		return cause
	}
	if err != nil {
		return cause // NATS is away, or JetStream is
	}
	info := stream.CachedInfo()
	if info.Cluster != nil && info.Cluster.Leader == "" {
		return cause // it is being elected
	}
	cause = fmt.Errorf("%w: %w", errStalled, cause)
	r.setStalled(cause)
	silent := monotonic.Since(since)
	if info.TimeStamp.Sub(info.Created) < silent { // another relay made it anew
		r.unacked.Store(monotonic.Now())
		return cause
	}
	if silent < remakeAfter {
		return cause
	}
	r.config = info.Config
	if err := r.js.DeleteStream(ctx, wire.StreamChanges); err != nil {
		return fmt.Errorf("%w; delete it: %w", cause, err)
	}
	return cause
}
