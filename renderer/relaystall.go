package renderer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/wire"
)

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
	r.stalled.Store(&err)
	r.metrics.relayStalled.Set(1)
}

// notAcknowledged records that the stream has not acknowledged a message, before which the connection to NATS had been
// made again so often.
func (r *relay) notAcknowledged(reconnects uint64) {
	if r.unacked.CompareAndSwap(0, monotonic.Now()) {
		r.reconnects = reconnects
	}
}

// resume ends the stall, after a round that succeeded, with every message acknowledged.
func (r *relay) resume() {
	if r.stalled.Swap(nil) != nil {
		r.metrics.relayStalled.Set(0)
		select {
		case r.resumed <- struct{}{}:
		default: // a check is already requested
		}
	}
}

// repair finds out why a round failed with cause. If NATS answers, and the stream has stored nothing for remakeAfter,
// repair deletes the stream; the next round makes it anew, as soon as there is room. What it held is not needed: edges
// trust no copy that is older than the stream, and the outbox keeps what was not acknowledged.
func (r *relay) repair(ctx context.Context, cause error) error {
	since := r.unacked.Load()
	if _, ours := errors.AsType[*busError](cause); !ours || isOtherSite(cause) || since == 0 || !r.nc.IsConnected() {
		return cause
	}
	if now := r.nc.Stats().Reconnects; now != r.reconnects { // NATS was away: begin again
		r.reconnects = now
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
	r.config, r.stream = info.Config, false
	if err := r.js.DeleteStream(ctx, wire.StreamChanges); err != nil {
		return fmt.Errorf("%w; delete it: %w", cause, err)
	}
	return cause
}
