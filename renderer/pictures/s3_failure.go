package pictures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/minio/minio-go/v7"
)

// ErrUnavailable: the store does not answer, or refuses everything. Another time it may do.
var ErrUnavailable = errors.New("pictures: the store does not answer")

var (
	errNoBucket = errors.New("there is no such bucket: make it, or name another one")
	// errPaused: the server has not answered several requests, and is left alone for breakerPause.
	errPaused = fmt.Errorf("%w: it did not answer before", ErrUnavailable)
)

// errSize: an object that the server has cannot be read. That is no outage: others can.
var errSize = errors.New("pictures: not the length that an object may have")

// silence is for how long a server may say nothing to a caller with a deadline of its own; then that is a failure.
const silence = time.Second

// do sends a request within a limit, unless the server has not answered several.
func (b *Bucket) do(ctx context.Context, limit time.Duration, send func(context.Context) error) error {
	if !b.breaker.TryAcquirePermit() {
		return errPaused
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	err := b.translate(ctx, send(limited))
	switch {
	case errors.Is(err, ErrUnavailable),
		errors.Is(err, context.DeadlineExceeded) && time.Since(began) > silence:
		b.failure.Store(failure{err})
		b.breaker.RecordFailure()
	case ctx.Err() == nil:
		b.breaker.RecordSuccess()
	case b.breaker.IsHalfOpen(): // nothing is known; a permit that is not returned would never be given again
		b.breaker.RecordFailure()
	}
	return err
}

// failure gives errors of all types one type, as an atomic.Value needs.
type failure struct{ error }

// OnOutage has f called when the server is given up, with the reason, and when it answers again.
func (b *Bucket) OnOutage(f func(away bool, why error)) { b.outage.Store(f) }

// Away reports whether the server was given up, and has not answered since.
func (b *Bucket) Away() bool { return !b.breaker.IsClosed() }

// tell passes on the beginning and the end of an outage. The attempts between are no news.
func (b *Bucket) tell(e circuitbreaker.StateChangedEvent) {
	f, _ := b.outage.Load().(func(bool, error))
	switch {
	case f == nil:
	case e.OldState == circuitbreaker.ClosedState:
		why, _ := b.failure.Load().(failure)
		f(true, why.error)
	case e.NewState == circuitbreaker.ClosedState:
		f(false, nil)
	}
}

// translate makes an error of a request one of a Store. ctx is that of the caller, without the limit of the request.
func (b *Bucket) translate(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	said, isAnswer := errors.AsType[minio.ErrorResponse](err)
	switch {
	case errors.Is(err, ErrUnavailable), errors.Is(err, errSize):
		return err
	case isMissing(err):
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case isAnswer && isFull(said):
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	case isAnswer && said.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("the object was replaced meanwhile: %w", err)
	}
	// Also what the server refuses, such as a key that has ended: the request was no worse than others.
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// isMissing reports whether the server says that there is no such object.
func isMissing(err error) bool {
	said, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && said.Code == minio.NoSuchKey
}

// isFull reports whether the server has no room. The codes are those of several servers.
func isFull(said minio.ErrorResponse) bool {
	switch said.Code {
	case "NoSpaceLeftOnDevice", "QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded",
		"InsufficientStorage":
		return true
	}
	return said.StatusCode == http.StatusInsufficientStorage
}
