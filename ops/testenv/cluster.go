package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/migrations"
)

// template is the migrated database that each test's own is copied from.
const template = "killr_template"

// The one thing that tests of a process share, and so the one global: a PostgreSQL cluster takes a second to make, a
// database in it 30 ms.
var (
	sharedCluster clusterOnce
	wrapped       atomic.Bool // TestMain calls Main
)

type clusterOnce struct {
	once   sync.Once
	home   *home
	server *stack.Postgres
	err    error
	number atomic.Int64 // of databases made
}

func cluster(t testing.TB) *stack.Postgres {
	t.Helper()
	if !wrapped.Load() {
		t.Fatal("this package's TestMain must call testenv.Main, which ends the database server")
	}
	sharedCluster.once.Do(func() { sharedCluster.err = sharedCluster.begin() })
	if sharedCluster.err != nil {
		t.Fatal(sharedCluster.err)
	}
	return sharedCluster.server
}

// begin belongs to no single test, so to no single test's context either.
func (c *clusterOnce) begin() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // a busy machine took more than 2
	defer cancel()
	var err error
	if c.home, err = newHome(); err != nil {
		return err
	}
	c.server, err = stack.StartPostgres(ctx, stack.PostgresConfig{Dir: c.home.dir, Throwaway: true, Connections: 300})
	if err != nil {
		return err
	}
	if err := adminExec(ctx, c.server, "create database "+template+" owner killr"); err != nil {
		return err
	}
	return migrate(ctx, c.server.URLFor(template))
}

func (c *clusterOnce) end() error {
	var err error
	if c.server != nil {
		err = c.server.Stop()
	}
	if c.home != nil {
		err = errors.Join(err, c.home.remove())
	}
	return err
}

func migrate(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close() // a template may have no connection
	return migrations.Up(ctx, pool)
}

// home is a temporary folder for a cluster, one that PostgreSQL's user can walk to, which is not so of t.TempDir when
// the tests run as root. It is locked while its process lives, so that others know which were left by a crash.
type home struct {
	dir  string
	lock *os.File
}

const homePattern = "killr-test-"

// DataDir is t.TempDir for a data directory with a PostgreSQL cluster in it: its parents are open to PostgreSQL's user.
func DataDir(t testing.TB) string {
	t.Helper()
	h, err := newHome()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.remove(); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(h.dir, "data")
}

func newHome() (*home, error) {
	sweep()
	dir, err := os.MkdirTemp("", homePattern)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return &home{dir: dir, lock: lock}, nil
}

func (h *home) remove() error { return errors.Join(os.RemoveAll(h.dir), h.lock.Close()) }

// sweep removes the folders of test processes that were killed. It is a kindness to the disk: errors are for the next
// one.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), homePattern+"*"))
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err != nil || time.Since(info.ModTime()) < time.Minute {
			continue // perhaps made but not yet locked
		}
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			continue // another user's
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(dir)
		}
		_ = lock.Close()
	}
}
