package renderer

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
)

// subscriptions are drained together, so that no received message is lost.
type subscriptions struct {
	all []*nats.Subscription
}

// add takes the result of subscribing.
func (s *subscriptions) add(sub *nats.Subscription, err error) error {
	if err != nil {
		return err
	}
	s.all = append(s.all, sub)
	return sub.SetPendingLimits(pendingMessages, pendingBytes)
}

// drain unsubscribes and returns when the handlers of all received messages have run. (nats.go's Drain returns before
// that; only the closed handler tells.) An error means that ctx ended first or that the connection is closed.
func (s *subscriptions) drain(ctx context.Context) error {
	var open sync.WaitGroup
	var errs []error
	for _, sub := range s.all {
		open.Add(1)
		closed := sync.OnceFunc(open.Done) // a connection that is lost just now may close it while Drain fails
		sub.SetClosedHandler(func(string) { closed() })
		if err := sub.Drain(); err != nil {
			closed()
			if !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
				errs = append(errs, fmt.Errorf("drain %s: %w", sub.Subject, err))
			}
		}
	}
	s.all = nil
	if err := waitFor(ctx, &open); err != nil {
		errs = append(errs, fmt.Errorf("drain: %w", err))
	}
	return errors.Join(errs...)
}

// waitFor waits for group or ctx. After ctx its goroutine ends with the group.
func waitFor(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
