package store_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
)

// Connections are ended under readers again and again: no reader notices.
func TestReadsSurviveEndedConnections(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	s, pool := openURL(t, url)
	people(t, pool)
	admin := testenv.Pool(t, testenv.AdminURL(t, url))
	ended := make(chan struct{})
	var group errgroup.Group
	for range 3 {
		group.Go(func() error {
			for {
				select {
				case <-ended:
					return nil
				default:
				}
				if page, err := s.Users(t.Context(), []store.UserQuery{{Name: "ansel"}}); err != nil ||
					page[0].User == nil {
					return errors.Join(errors.New("a reader noticed"), err)
				}
			}
		})
	}
	for range 20 {
		exec(t, admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "+
			"current_database() AND application_name = 'killr'")
	}
	close(ended)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Where nobody listens a read asks until its deadline, and the error still says why.
func TestReadsWaitForPostgres(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ := openURL(t, "postgres://killr@"+address+"/killr?sslmode=disable")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = onePhoto(ctx, s, 1)
	if waited := time.Since(began); waited < 200*time.Millisecond || !errors.Is(err, syscall.ECONNREFUSED) &&
		!errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after %v: %v", waited, err)
	}
}

// What cannot get better is not asked twice.
func TestReadsGiveUp(t *testing.T) {
	t.Parallel()
	s, pool := open(t)
	exec(t, pool, "ALTER TABLE epoch RENAME TO gone")
	began := time.Now()
	_, err := onePhoto(t.Context(), s, 1)
	if refused := (*pgconn.PgError)(nil); !errors.As(err, &refused) || refused.Code != "42P01" ||
		time.Since(began) > 4*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}
