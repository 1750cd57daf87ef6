package renderer

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/discovery"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

const (
	// maxBehind is how far a replica may be behind the primary. What is further behind is used only while there is no
	// primary. It is the age that edges take for fresh when they hear no heartbeat.
	maxBehind = time.Second
	// beatEvery is how often the row heartbeat is written, and read from each replica. What is read from a replica
	// seems older than it is by as much.
	beatEvery = 250 * time.Millisecond
	// beatApart is the least time between two writes, of all renderers.
	beatApart = 200 * time.Millisecond
	// beatTimeout bounds one write or read of the row.
	beatTimeout = time.Second
)

// Replica is a standby of the database, from which pages and pictures are read. Its pools are of store.OpenReplicaPool.
type Replica struct {
	Pool     *pgxpool.Pool // of ReplicaConns connections
	Searches *pgxpool.Pool // of SearchConns connections
}

// ReplicaConns is how many connections Replica.Pool needs for so many workers, see Config: one for each worker that
// reads pages, the sitemap or rows of pictures, and one that asks how far the replica has come.
func ReplicaConns(pageWorkers int) int32 {
	return PoolConns(pageWorkers, 1) - fixedConns + sitemapWorkers + rowConns
}

// replica is a Replica that this service reads from.
type replica struct {
	name  string // host:port
	rows  *store.Store
	maker *Pages

	asked  atomic.Bool  // it has answered, or failed, since the start
	fails  atomic.Bool  // it did not answer last time
	behind atomic.Int64 // ns; grows while it does not answer
	lag    prometheus.Gauge
	last   time.Time // as of when it answered last; only watch uses it
}

// usable reports whether the replica answers and is not too far behind.
func (r *replica) usable() bool {
	return r.asked.Load() && !r.fails.Load() && time.Duration(r.behind.Load()) <= maxBehind
}

// replicas are those of a service. They are used in turn.
type replicas struct {
	all  []*replica
	turn atomic.Uint32
}

func newReplicas(s *Service) *replicas {
	all := &replicas{}
	for _, cfg := range s.cfg.ReadFrom {
		r := &replica{name: databaseAddr(cfg.Pool), rows: store.NewReplica(cfg.Pool, cfg.Searches, store.SearchLongest)}
		r.maker = &Pages{store: r.rows, site: s.maker.site, now: s.maker.now}
		r.lag = s.metrics.replicaLag.WithLabelValues(r.name)
		all.all = append(all.all, r)
	}
	return all
}

// next is the replica whose turn it is of those that may be used; nil if there is none. With anyhow one that is too far
// behind may be used, too, if no other may.
func (r *replicas) next(anyhow bool) *replica {
	n := len(r.all)
	if n == 0 {
		return nil
	}
	first := int(r.turn.Add(1) % uint32(n))
	var best *replica
	for i := range n {
		one := r.all[(first+i)%n]
		if one.usable() {
			return one
		}
		if one.asked.Load() && !one.fails.Load() && (best == nil || one.behind.Load() < best.behind.Load()) {
			best = one
		}
	}
	if anyhow {
		return best
	}
	return nil
}

// run writes the heartbeat and watches the replicas until ctx ends. It does nothing without replicas.
func (r *replicas) run(ctx context.Context, s *Service) {
	if len(r.all) == 0 {
		return
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { s.warnOfLosses(ctx) })
	all.Go(func() {
		for sleep.For(ctx, beatEvery) {
			s.beat(ctx)
		}
	})
	for _, one := range r.all {
		all.Go(func() {
			one.watch(ctx, &s.clock)
			for sleep.For(ctx, beatEvery) {
				one.watch(ctx, &s.clock)
			}
		})
		all.Go(func() { one.report(ctx, s.log.With("replica", one.name)) })
	}
}

// beat writes the heartbeat, unless Postgres is known to be away.
func (s *Service) beat(ctx context.Context) {
	if s.outage.long() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	if err := s.store.Beat(ctx, beatApart); err != nil {
		s.log.Debug("the heartbeat of the database was not written", "err", err)
	}
}

// watch asks how far the replica has come.
func (r *replica) watch(ctx context.Context, clock *wire.Clock) {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	at, err := r.rows.ReadAt(ctx)
	if err != nil && r.last.IsZero() {
		at = clock.Now() // it has not answered since the start
	}
	if err == nil || r.last.IsZero() {
		r.last = at
	}
	behind := max(0, clock.Now().Sub(r.last)) // of one that does not answer it grows
	r.behind.Store(int64(behind))
	r.lag.Set(behind.Seconds())
	r.fails.Store(err != nil)
	r.asked.Store(true)
}

// report logs when the replica can be used and when not, until ctx ends.
func (r *replica) report(ctx context.Context, log *slog.Logger) {
	for used := false; sleep.For(ctx, beatEvery); {
		if !r.asked.Load() || r.usable() == used {
			continue
		}
		if used = !used; used {
			log.Info("the replica is used")
		} else {
			log.Warn("the replica is not used", "answers", !r.fails.Load(), "behind", time.Duration(r.behind.Load()))
		}
	}
}

// warnOfLosses logs, once the primary answers, whether a failover may lose changes that were acknowledged.
func (s *Service) warnOfLosses(ctx context.Context) {
	for {
		found, err := s.store.Durability(ctx)
		if err == nil && found.LosesAtFailover() {
			s.log.Warn("a failover may lose changes that were acknowledged: the primary waits for no replica; set "+
				"synchronous_standby_names, or synchronous_mode of Patroni", "synchronous_standby_names",
				found.Standbys, "synchronous_commit", found.Commit)
		}
		if err == nil || !sleep.For(ctx, time.Second) {
			return
		}
	}
}

// figures are what the statistics of the service say of the replica.
func (r *replica) figures() discovery.ReplicaFigures {
	return discovery.ReplicaFigures{Addr: r.name, Used: r.usable(), Lag: time.Duration(r.behind.Load()).Seconds()}
}
