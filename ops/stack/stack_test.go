package stack

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// postgresHome is a folder that PostgreSQL's user can walk to; t.TempDir's parents are closed to others.
func postgresHome(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "killr-stack-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func startPostgres(t *testing.T, cfg PostgresConfig) *Postgres {
	t.Helper()
	began := time.Now()
	p, err := StartPostgres(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("PostgreSQL ready after %s", time.Since(began).Round(time.Millisecond))
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var s string
	if err := conn.QueryRow(t.Context(), sql).Scan(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	cfg := PostgresConfig{Dir: postgresHome(t)}
	p := startPostgres(t, cfg)
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `create table kept as select 'still here' as word`); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	var second *Postgres
	t.Run("a second server on the same data is ended first", func(t *testing.T) {
		// As after a kill -9 where no parent-death signal exists: the old server still runs when the next start comes.
		second = startPostgres(t, cfg)
		if got := query(t, second.URL(), `select word from kept`); got != "still here" {
			t.Errorf("read %q", got)
		}
		if p.child.running() {
			t.Error("the server left over from before still runs")
		}
		second.Kill() // and now a crash
	})

	t.Run("after a crash, with a lost password and a pid that is now another program's", func(t *testing.T) {
		if err := os.Remove(filepath.Join(cfg.Dir, "password")); err != nil {
			t.Fatal(err)
		}
		pid := filepath.Join(cfg.Dir, "cluster", "postmaster.pid")
		data, err := os.ReadFile(pid)
		if errors.Is(err, os.ErrNotExist) {
			data = []byte("0\n" + cfg.Dir + "\n")
		} else if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(data), "\n")
		// Pid 1 always lives.
		if err := errors.Join(os.WriteFile(pid, []byte("1\n"+rest), 0o600), give(pid, second.cred)); err != nil {
			t.Fatal(err)
		}
		third := startPostgres(t, cfg)
		if got := query(t, third.URL(), `select word from kept`); got != "still here" {
			t.Errorf("read %q", got)
		}
		if err := third.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := query(t, third.URL(), `select word from kept`); got != "still here" {
			t.Errorf("read %q after Restart", got)
		}
	})
}

func TestPostgresNotOfThisVersion(t *testing.T) {
	t.Parallel()
	dir := postgresHome(t)
	if err := os.Mkdir(filepath.Join(dir, "cluster"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "cluster", "PG_VERSION"), []byte("9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := StartPostgres(t.Context(), PostgresConfig{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "PostgreSQL 9") {
		t.Errorf("err = %v, want one that names the version", err)
	}
}

func TestPostgresAfterInitdbCutShort(t *testing.T) {
	t.Parallel()
	dir := postgresHome(t)
	if err := os.MkdirAll(filepath.Join(dir, "cluster.making", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	startPostgres(t, PostgresConfig{Dir: dir, Throwaway: true})
}

func TestPostgresFreeze(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, PostgresConfig{Dir: postgresHome(t), Throwaway: true})
	conn, err := pgx.Connect(t.Context(), p.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	answered := make(chan error, 1)
	go func() { answered <- conn.Ping(t.Context()) }()
	select {
	case err := <-answered:
		t.Errorf("a frozen server answered: %v", err)
	case <-time.After(200 * time.Millisecond): // silence can only be waited for
	}
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

func TestPostgresUnreachableFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: every folder of ours is reachable")
	}
	closed := filepath.Join(postgresHome(t), "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := PostgresConfig{Dir: filepath.Join(closed, "pg"), Throwaway: true}
	p := startPostgres(t, cfg)
	if outside, err := os.Readlink(filepath.Join(cfg.Dir, "cluster")); err == nil {
		t.Cleanup(func() {
			if err := errors.Join(p.Stop(), os.RemoveAll(outside)); err != nil {
				t.Error(err)
			}
		})
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTakenPorts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	starts := map[string]func() error{
		"NATS":      func() error { _, err := StartNATS(NATSConfig{Port: port, Dir: t.TempDir()}); return err },
		"memcached": func() error { _, err := StartMemcached(t.Context(), MemcachedConfig{Port: port}); return err },
		"PostgreSQL": func() error {
			_, err := StartPostgres(t.Context(), PostgresConfig{Port: port, Dir: postgresHome(t)})
			return err
		},
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			err := start()
			taken := (*PortTakenError)(nil)
			if !errors.As(err, &taken) {
				t.Fatalf("err = %v, want a PortTakenError", err)
			}
			if !strings.Contains(err.Error(), strconv.Itoa(port)) ||
				!strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) {
				t.Errorf("err = %q, want it to name port %d and this process, %d", err, port, os.Getpid())
			}
		})
	}
}

func TestMemcachedRestartAndFreeze(t *testing.T) {
	t.Parallel()
	m, err := StartMemcached(t.Context(), MemcachedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	addr := m.Addr()
	if err := m.Freeze(); err != nil {
		t.Fatal(err)
	}
	if err := m.Restart(t.Context()); err != nil { // a frozen one can be ended too
		t.Fatal(err)
	}
	if m.Addr() != addr {
		t.Errorf("came back on %s instead of %s", m.Addr(), addr)
	}
	if err := errors.Join(m.Stop(), m.Stop()); err != nil {
		t.Error(err)
	}
}

func TestNATSRestartKeepsStreams(t *testing.T) {
	t.Parallel()
	n, err := StartNATS(NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	url := n.URL()
	nc, err := Connect(Login{URL: url}, t.Name(), nil)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	defer func() { nc.Close(); <-closed }()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.PutString(t.Context(), "k", "v"); err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(); err != nil {
		t.Fatal(err)
	}
	if n.URL() != url {
		t.Errorf("came back on %s instead of %s", n.URL(), url)
	}
	for { // until the connection is back
		// What is asked while the server is away is lost.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		e, err := kv.Get(ctx, "k")
		cancel()
		if err == nil {
			if string(e.Value()) != "v" {
				t.Errorf("value = %q", e.Value())
			}
			return
		}
	}
}

// TestPortIsGivenOnce: it is free, and none of those that the kernel gives away if there are enough others.
func TestPortIsGivenOnce(t *testing.T) {
	t.Parallel()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	if end := portsEnd(); end-lowestPort >= fewestPorts && (port < lowestPort || port >= end) {
		t.Errorf("port %d is not within %d and %d", port, lowestPort, end)
	}
	if free, err := reserve(port); free || err != nil {
		t.Errorf("port %d is given twice: %v", port, err)
	}
	if err := probe(net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err != nil {
		t.Errorf("port %d is not free: %v", port, err)
	}
}

// TestPortThatNobodyHolds: a listener that no process has any more, or not yet, as one on its way from one to another,
// is waited for.
func TestPortThatNobodyHolds(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Sendmsg(ends[0], []byte("it"), syscall.UnixRights(int(file.Fd())), nil, 0); err != nil {
		t.Fatal(err)
	}
	_, _ = file.Close(), l.Close()
	release := sync.OnceFunc(func() {
		for _, end := range ends {
			_ = syscall.Close(end)
		}
	})
	defer release()
	if err := probe(l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("the port is not held: %v", err)
	}
	time.AfterFunc(lastHold/5, release)
	if err := CheckPort("a test", l.Addr().String()); err != nil {
		t.Error(err)
	}
}
