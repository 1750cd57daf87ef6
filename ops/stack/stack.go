package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// postgresDir is PostgreSQL's home within the data directory.
const postgresDir = "postgres"

// Config says what a whole stack is made of. Dir or Sandbox is needed.
type Config struct {
	Dir           string       // the data directory
	Sandbox       string       // instead of Dir: a temporary data directory with this in its name, which Stop removes
	NoNATS        bool         // NATS runs elsewhere
	Bin           string       // a folder to put on the path in stack.env; may be empty
	NATSPort      int          // 0: any free one
	PostgresPort  int          // 0: last time's if it is free, or any free one
	MemcachedPort int          // 0: likewise
	MemcachedMiB  int          // memcached's memory; 0: 256
	Connections   int          // PostgreSQL's max_connections; 0: 100
	Replicas      int          // standbys of PostgreSQL, from which renderers read; only of a new cluster
	Logger        *slog.Logger // nil: silent
}

// Listeners lists the services with a port of their own choice. PostgreSQL is left out while a server of an earlier run
// holds the cluster: the start ends it.
func (cfg Config) Listeners() (all []Listener) {
	add := func(what string, port int) {
		if port != 0 {
			all = append(all, Listener{what, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
		}
	}
	add("NATS", cfg.NATSPort)
	if dir, err := filepath.Abs(cfg.Dir); err != nil || !leftOver(filepath.Join(dir, postgresDir)) {
		add("PostgreSQL", cfg.PostgresPort)
	}
	add("memcached", cfg.MemcachedPort)
	return all
}

// Stack is NATS, PostgreSQL and memcached, running, in a data directory that is theirs alone.
type Stack struct {
	data      *dataDir
	sandbox   string // the temporary directory; "": none
	sweeper   *sweeper
	bin       string
	log       *slog.Logger
	seeds     Seeds
	nats      *NATS
	postgres  *Postgres
	standbys  []*Postgres
	memcached *Memcached

	stopWatching context.CancelFunc
	watchers     sync.WaitGroup
	changing     sync.Mutex // held while a service is restarted; the services' methods may not be called concurrently
}

// Start starts the services and returns once all of them answer and stack.env says where. From then on a PostgreSQL or
// memcached that ends by itself is started again, on the same port. What was started is stopped again when one fails.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.MemcachedMiB == 0 {
		cfg.MemcachedMiB = 256
	}
	s := &Stack{bin: cfg.Bin, log: cfg.Logger}
	if cfg.Sandbox != "" {
		var err error
		if cfg.Dir, err = os.MkdirTemp("", "killr-"+cfg.Sandbox+"-"); err != nil {
			return nil, fmt.Errorf("sandbox: %w", err)
		}
		s.sandbox = cfg.Dir
		if s.sweeper, err = startSweeper(cfg.Dir); err != nil {
			return nil, errors.Join(err, s.Stop())
		}
		if err := os.Chmod(cfg.Dir, 0o755); err != nil { // PostgreSQL's user walks through it
			return nil, errors.Join(fmt.Errorf("sandbox: %w", err), s.Stop())
		}
	}
	var err error
	if s.data, err = openDataDir(cfg.Dir); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	s.reusePorts(&cfg)
	// When one fails, ctx ends the start of the others.
	starting, ctx := errgroup.WithContext(ctx)
	if !cfg.NoNATS {
		starting.Go(func() (err error) {
			if s.seeds, err = MakeSeeds(s.data.path); err != nil {
				return err
			}
			s.nats, err = StartNATS(NATSConfig{Port: cfg.NATSPort, Dir: s.data.join("jetstream"), Seeds: s.seeds,
				Logger: cfg.Logger})
			return err
		})
	}
	starting.Go(func() (err error) {
		s.postgres, err = StartPostgres(
			ctx,
			PostgresConfig{Dir: s.data.join(postgresDir), Port: cfg.PostgresPort, Connections: cfg.Connections,
				Replicable: cfg.Replicas > 0},
		)
		for n := 1; err == nil && n <= cfg.Replicas; n++ {
			var standby *Postgres
			standby, err = StartStandby(ctx, s.postgres, s.data.join(fmt.Sprintf("%s-standby-%d", postgresDir, n)))
			if err == nil {
				s.standbys = append(s.standbys, standby)
			}
		}
		return err
	})
	starting.Go(func() (err error) {
		s.memcached, err = StartMemcached(
			ctx,
			MemcachedConfig{Port: cfg.MemcachedPort, MemoryMiB: cfg.MemcachedMiB, Connections: 4096},
		)
		return err
	})
	err = starting.Wait()
	if err == nil {
		err = writeEnv(s.data.path, cfg.Bin, s.Env(), s.postgres.PsqlURL())
	}
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	watching, cancel := context.WithCancel(context.Background()) // ends in Stop, not with the start
	s.stopWatching = cancel
	s.watchers.Go(func() {
		s.keepRunning(watching, "PostgreSQL", func() *Child { return s.postgres.child }, s.postgres.Restart)
	})
	s.watchers.Go(func() {
		s.keepRunning(watching, "memcached", func() *Child { return s.memcached.child }, s.memcached.Restart)
	})
	return s, nil
}

// reusePorts chooses last time's ports, so that roles in other terminals find the services again after a restart.
func (s *Stack) reusePorts(cfg *Config) {
	last, err := ReadEnv(s.data.path)
	if err != nil {
		return // the first start
	}
	if u, err := url.Parse(last.Postgres); err == nil && cfg.PostgresPort == 0 {
		cfg.PostgresPort = portIfFree(u.Host)
	}
	if len(last.Memcached) == 1 && cfg.MemcachedPort == 0 {
		cfg.MemcachedPort = portIfFree(last.Memcached[0])
	}
}

// portIfFree returns the port of host:port, or 0 if it is taken.
func portIfFree(addr string) int {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || CheckPort("", addr) != nil {
		return 0
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		return 0
	}
	return n
}

// keepRunning starts a service again whenever it ends by itself.
func (s *Stack) keepRunning(
	ctx context.Context,
	name string,
	current func() *Child,
	restart func(context.Context) error,
) {
	supervise(ctx, name, s.log,
		func() *Child { s.changing.Lock(); defer s.changing.Unlock(); return current() },
		func(ctx context.Context) error { s.changing.Lock(); defer s.changing.Unlock(); return restart(ctx) })
}

// Env is where the services are.
func (s *Stack) Env() Env {
	env := Env{Postgres: s.postgres.URL(), Memcached: []string{s.memcached.Addr()}}
	for _, standby := range s.standbys {
		env.ReadFrom = append(env.ReadFrom, standby.URL())
	}
	if s.nats != nil {
		env.NATS, env.Seeds = s.nats.URL(), s.seeds
	}
	return env
}

// Announce adds the addresses of the edges to stack.env, for commands in other terminals.
func (s *Stack) Announce(edges []string) error {
	env := s.Env()
	env.Edges = edges
	return writeEnv(s.data.path, s.bin, env, s.postgres.PsqlURL())
}

// LagReplicas makes all standbys replay each transaction so long after its commit.
func (s *Stack) LagReplicas(ctx context.Context, by time.Duration) error {
	for _, standby := range s.standbys {
		if err := standby.Lag(ctx, by); err != nil {
			return fmt.Errorf("let the replicas lag: %w", err)
		}
	}
	return nil
}

// Dir is the data directory, absolute.
func (s *Stack) Dir() string { return s.data.path }

// Stop ends NATS, then memcached, then PostgreSQL, and releases the data directory. It waits for each, works on a
// stack that only half started, and is safe to call twice.
func (s *Stack) Stop() error {
	if s.stopWatching != nil {
		s.stopWatching()
		s.watchers.Wait()
	}
	var errs []error
	if s.nats != nil {
		s.nats.Stop()
	}
	if s.memcached != nil {
		errs = append(errs, s.memcached.Stop())
	}
	for _, standby := range s.standbys {
		errs = append(errs, standby.Stop())
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Stop())
	}
	if s.data != nil {
		errs = append(errs, s.data.close())
		s.data = nil
	}
	if s.sandbox != "" {
		errs = append(errs, os.RemoveAll(s.sandbox))
	}
	if s.sweeper != nil {
		errs = append(errs, s.sweeper.stop())
		s.sweeper = nil
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop the stack: %w", err)
	}
	return nil
}
