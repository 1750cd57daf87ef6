package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/sleep"
)

// startBus starts the servers of NATS of a setup that has its own, and has the roles use them. Each role prefers
// another one.
func (cfg *Config) startBus(ctx context.Context, on *scene, services *stack.Env) (func(string) []string, error) {
	n := on.setup.BusServers
	if n == 0 {
		return on.setup.EnvOf, nil
	}
	dir, err := os.MkdirTemp(cfg.Stack.Dir(), "bus-")
	if err != nil {
		return nil, err
	}
	if on.bus, err = stack.StartBusServers(ctx, n, on.setup.program, dir, cfg.Output); err != nil {
		return nil, err
	}
	services.NATS, services.Seeds = on.bus.URL(0), on.bus.Seeds()
	return func(name string) []string {
		_, digits, _ := strings.Cut(name, "-")
		i, err := strconv.Atoi(digits)
		if err != nil {
			i = 0
		}
		env := []string{"NATS_URL=" + on.bus.URL(i)}
		if on.setup.EnvOf != nil {
			env = append(env, on.setup.EnvOf(name)...)
		}
		return env
	}, nil
}

// killBusServer kills a server of NATS, each in its turn.
func killBusServer(ctx context.Context, s *scene, n int, hold time.Duration) error {
	return s.bus.Kill(ctx, n, hold)
}

// replaceBusServer replaces a server of NATS, each in its turn.
func replaceBusServer(ctx context.Context, s *scene, n int, _ time.Duration) error {
	return s.bus.Replace(ctx, n)
}

// killBusLeader kills the server of NATS that leads the stream of changes.
func killBusLeader(ctx context.Context, s *scene, _ int, hold time.Duration) error {
	leader, err := s.bus.Leader(ctx)
	if err != nil {
		return err
	}
	return s.bus.Kill(ctx, leader, hold)
}

// change gives photos other titles in the database, so many a second, until ctx ends.
func (s *scene) change(ctx context.Context, perSecond int) error {
	if perSecond == 0 {
		return nil
	}
	pool, err := s.openPool(ctx, s.at.Postgres)
	if err != nil {
		return err
	}
	defer pool.Close()
	const sql = `UPDATE photos SET title = $1
		WHERE id = (SELECT id FROM photos WHERE id >= $2 * (SELECT max(id) FROM photos) ORDER BY id LIMIT 1)`
	for n := 0; sleep.For(ctx, time.Second/time.Duration(perSecond)); n++ {
		if _, err := pool.Exec(ctx, sql, fmt.Sprint("Title ", n), rand.Float64()); err != nil && ctx.Err() == nil {
			return fmt.Errorf("change a photo: %w", err)
		}
	}
	return nil
}

// distrusted is the line by which the metrics of an edge say for how long it trusted no copy.
var distrusted = regexp.MustCompile(`(?m)^killr_edge_feed_stale_seconds_total(?:\{[^}]*\})? (\S+)$`)

// distrust asks each edge for how long it trusted no copy, in seconds.
func (s *scene) distrust(ctx context.Context) (all []float64, err error) {
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	for _, url := range s.site.DebugURLs(site.Edge) {
		metrics, err := site.Get(ctx, client, url+"/metrics")
		if err != nil {
			return nil, fmt.Errorf("ask an edge for its metrics: %w", err)
		}
		found := distrusted.FindSubmatch(metrics)
		if found == nil {
			return nil, errors.New("an edge does not say for how long it trusted no copy")
		}
		seconds, err := strconv.ParseFloat(string(found[1]), 64)
		if err != nil {
			return nil, fmt.Errorf("for how long an edge trusted no copy: %w", err)
		}
		all = append(all, seconds)
	}
	return all, nil
}
