package stack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"flickrkillr/schema/sleep"
)

// Faults of services. Each undoes itself before it returns, also when ctx ends meanwhile.

// RestartNATS stops NATS and starts it again, with its streams.
func (s *Stack) RestartNATS() error { return s.StopNATS(context.Background(), 0) }

// StopNATS stops NATS and starts it again after the time d, with its streams.
func (s *Stack) StopNATS(ctx context.Context, d time.Duration) error {
	if s.nats == nil {
		return errors.New("stop NATS: it runs elsewhere")
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	s.nats.Stop()
	sleep.For(ctx, d)
	return s.nats.start()
}

// CrashAll ends PostgreSQL as a crash does and stops NATS and memcached, all at the same moment, and starts them again.
func (s *Stack) CrashAll(ctx context.Context) error {
	if s.nats == nil {
		return errors.New("crash all services: NATS runs elsewhere")
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	var all sync.WaitGroup
	var errs [3]error
	all.Go(func() {
		s.postgres.Kill()
		errs[0] = s.postgres.Restart(ctx)
	})
	all.Go(func() { errs[1] = s.nats.Restart() })
	all.Go(func() { errs[2] = s.memcached.Restart(ctx) })
	all.Wait()
	return errors.Join(errs[:]...)
}

// RestartMemcached stops memcached and starts it again, empty.
func (s *Stack) RestartMemcached(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.memcached.Restart(ctx)
}

// StopMemcached stops memcached and starts it again after the time d, empty.
func (s *Stack) StopMemcached(ctx context.Context, d time.Duration) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.memcached.Stop()
	sleep.For(ctx, d)
	return errors.Join(err, s.memcached.start(context.WithoutCancel(ctx)))
}

// FreezeMemcached suspends memcached for the time d.
func (s *Stack) FreezeMemcached(ctx context.Context, d time.Duration) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.memcached.Freeze()
	sleep.For(ctx, d)
	return errors.Join(err, s.memcached.Thaw())
}

// RestartPostgres stops PostgreSQL in order and starts it again.
func (s *Stack) RestartPostgres(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.postgres.Restart(ctx)
}

// CrashPostgres ends PostgreSQL as a crash does and starts it again: it replays its log.
func (s *Stack) CrashPostgres(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.postgres.Kill()
	return s.postgres.Restart(ctx)
}

// KillPostmaster kills PostgreSQL's first process, without a word to its sessions, and starts it again as soon as these
// have noticed.
func (s *Stack) KillPostmaster(ctx context.Context) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if err := s.postgres.child.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-s.postgres.child.done
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := s.postgres.Restart(ctx)
		if err == nil {
			return nil
		}
		if !sleep.For(ctx, 20*time.Millisecond) {
			return fmt.Errorf("start PostgreSQL, whose postmaster was killed: %w", err)
		}
	}
}

// FreezePostgres suspends PostgreSQL with all its sessions for the time d.
func (s *Stack) FreezePostgres(ctx context.Context, d time.Duration) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.postgres.Freeze()
	sleep.For(ctx, d)
	return errors.Join(err, s.postgres.Thaw())
}
