package stack

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

func TestStack(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: filepath.Join(postgresHome(t), "it's data"), Bin: "/opt/some bin", Connections: 20}
	began := time.Now()
	s, err := Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("first start %s", time.Since(began).Round(time.Millisecond))

	t.Run("stack.env reads back, in Go and in a shell", func(t *testing.T) {
		env, err := ReadEnv(cfg.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if env.NATS != s.Env().NATS || env.Postgres != s.Env().Postgres ||
			strings.Join(env.Memcached, " ") != s.memcached.Addr() {
			t.Errorf("read %+v, want %+v", env, s.Env())
		}
		cmd := exec.Command(
			"sh",
			"-euc",
			`. "$0"; echo "$NATS_URL $DATABASE_URL $MEMCACHED_SERVERS"; echo "$PATH"`,
			filepath.Join(cfg.Dir, EnvFile),
		)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		if want := env.NATS + " " + env.Postgres + " " + env.Memcached[0] + "\n"; !strings.HasPrefix(
			string(out),
			want,
		) {
			t.Errorf("the shell read %q, want %q", out, want)
		}
		if !strings.HasSuffix(string(out), ":/opt/some bin\n") {
			t.Errorf("PATH is %q", out)
		}
		info, err := os.Stat(filepath.Join(cfg.Dir, EnvFile))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("a file with a password has mode %v", info.Mode())
		}
	})

	t.Run("edges are announced, and nothing else changes", func(t *testing.T) {
		before, err := ReadEnv(cfg.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(before.Edges) != 0 {
			t.Errorf("edges %q before there are any", before.Edges)
		}
		before.Edges = []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}
		if err := s.Announce(before.Edges); err != nil {
			t.Fatal(err)
		}
		if after, err := ReadEnv(cfg.Dir); err != nil || !reflect.DeepEqual(after, before) {
			t.Errorf("read %+v, %v; want %+v", after, err, before)
		}
	})

	t.Run("the holder of the data is known, where there is /proc", func(t *testing.T) {
		pid, ok := Holder(cfg.Dir)
		if ok != (runtime.GOOS == "linux") || ok && pid != os.Getpid() {
			t.Errorf("holder %d, %v; we are %d", pid, ok, os.Getpid())
		}
	})

	t.Run("psql has a connection when roles have all others", func(t *testing.T) {
		for n := 0; ; n++ {
			conn, err := pgx.Connect(t.Context(), s.Env().Postgres)
			if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "53300" && n > 10 {
				break
			}
			if err != nil {
				t.Fatalf("after %d connections: %v", n, err)
			}
			defer conn.Close(context.WithoutCancel(t.Context()))
		}
		const script = `. "$0"
			psql -AtX -c 'create table made ();
				select current_user, tableowner from pg_tables where tablename = $$made$$;
				drop table made'`
		cmd := exec.Command("sh", "-euc", script, filepath.Join(cfg.Dir, EnvFile))
		cmd.Env = append(os.Environ(), "PATH="+s.postgres.programs.Dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "killr|killr\n") {
			t.Errorf("%v: %s", err, out)
		}
	})

	t.Run("a second stack on the same data is refused", func(t *testing.T) {
		_, err := Start(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), "another `up`") {
			t.Errorf("err = %v, want one about another `up`", err)
		}
	})

	t.Run("children run as somebody unprivileged", func(t *testing.T) {
		cache, err := memcachedPID(s.memcached.Addr())
		if err != nil {
			t.Fatal(err)
		}
		for name, pid := range map[string]int{"memcached": cache, "PostgreSQL": readPIDFile(s.postgres.cluster).pid} {
			out, err := exec.Command("ps", "-o", "uid=", "-p", strconv.Itoa(pid)).Output()
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(out)) == "0" {
				t.Errorf("%s runs as root", name)
			}
		}
	})

	t.Run("a service that ends is started again", func(t *testing.T) {
		addr := s.memcached.Addr()
		old, err := memcachedPID(addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for { // until another process answers on the same port
			if pid, err := memcachedPID(addr); err == nil && pid != old {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})

	// A fault that is held ends early with its context, and is undone all the same.
	t.Run("services that were broken answer again", func(t *testing.T) {
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for what, inject := range map[string]func() error{
			"NATS stopped":        func() error { return s.StopNATS(ended, time.Hour) },
			"memcached stopped":   func() error { return s.StopMemcached(ended, time.Hour) },
			"memcached frozen":    func() error { return s.FreezeMemcached(ended, time.Hour) },
			"PostgreSQL restart":  func() error { return s.RestartPostgres(t.Context()) },
			"postmaster killed":   func() error { return s.KillPostmaster(t.Context()) },
			"PostgreSQL's crash":  func() error { return s.CrashPostgres(t.Context()) },
			"PostgreSQL's freeze": func() error { return s.FreezePostgres(ended, time.Hour) },
		} {
			if err := inject(); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			conn, err := pgx.Connect(t.Context(), s.Env().Postgres)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if err := conn.Close(t.Context()); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := memcachedPID(s.memcached.Addr()); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if !s.nats.server.Running() {
				t.Errorf("%s: NATS does not run", what)
			}
		}
	})

	before := s.Env()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
	if pid, ok := Holder(cfg.Dir); ok {
		t.Errorf("process %d holds data that nobody uses", pid)
	}
	began = time.Now()
	if s, err = Start(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Logf("second start %s", time.Since(began).Round(time.Millisecond))
	defer func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if s.Env().Postgres != before.Postgres || s.Env().Memcached[0] != before.Memcached[0] {
		t.Errorf("the services moved from %+v to %+v", before, s.Env())
	}
}
