package renderer

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/lab/cputime"
	"flickrkillr/ops/stack"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// BenchmarkReplicas makes pages that are in no cache, beside a change for so many pages: in turns from a primary alone,
// and from one with two replicas. After each change the page of its owner is asked for with its version, as an edge
// does. It reports the processor time of each server for a page, the changes and their replication included, that each
// server takes while nobody asks, and x: how many times as many pages a second the busiest server bears with replicas.
// So it does not matter that all run on one machine.
func BenchmarkReplicas(b *testing.B) {
	for _, pages := range []int{10, 100} {
		b.Run(fmt.Sprintf("pages/change=%d", pages), func(b *testing.B) { benchmarkReplicas(b, pages) })
	}
}

func benchmarkReplicas(b *testing.B, pages int) {
	const round, askers = 1000, 16
	both := [...]*measured{newMeasured(b, 0), newMeasured(b, 2)}
	for _, m := range both {
		m.rest(b)
	}
	b.ResetTimer()
	for done := 0; done < b.N; done += round {
		for _, m := range both {
			m.take(b, func() {
				together(b, askers, done, min(done+round, b.N), func(n int64) error { return m.page(b, n, pages) })
			})
		}
	}
	b.StopTimer()
	alone, shared := both[0], both[1]
	report := func(name string, m *measured, server int) {
		b.ReportMetric(m.each(server, b.N)*1e6, name+"-us/page")
		b.ReportMetric(m.idle[server]*1e3, name+"-idle-ms/s")
	}
	report("alone", alone, 0)
	report("primary", shared, 0)
	report("replica1", shared, 1)
	report("replica2", shared, 2)
	bears := shared.bears(0, b.N)
	for server := range shared.servers {
		bears = min(bears, shared.bears(server, b.N))
	}
	b.ReportMetric(bears/alone.bears(0, b.N), "x")
	read := func(source string) float64 { return counted(b, shared.service.metrics.reads.WithLabelValues(source)) }
	primary, replica := read(wire.SourcePrimary), read(wire.SourceReplica)
	b.ReportMetric(100*primary/(primary+replica), "%of-primary")
}

// measured is a site whose servers' processor time is measured.
type measured struct {
	*site
	service *running
	servers []*stack.Postgres // the primary, and its replicas
	idle    []float64         // processor time that each takes while nobody asks, in seconds a second
	took    []time.Duration   // processor time that each took while pages were asked for
	asked   time.Duration     // how long that was
}

// resting is how long servers are measured while nobody asks.
const resting = 5 * time.Second

// rest measures the servers while nobody asks.
func (m *measured) rest(b *testing.B) {
	b.Helper()
	m.take(b, func() { <-time.After(resting) })
	for i := range m.servers {
		m.idle[i], m.took[i] = m.took[i].Seconds()/m.asked.Seconds(), 0
	}
	m.asked = 0
}

// take measures the servers while f runs.
func (m *measured) take(b *testing.B, f func()) {
	b.Helper()
	before, begun := m.used(b), time.Now()
	f()
	m.asked += time.Since(begun)
	for i, used := range m.used(b) {
		m.took[i] += used - before[i]
	}
}

// each is the processor time of a server for a page, in seconds, without what it takes anyhow.
func (m *measured) each(server, pages int) float64 {
	return (m.took[server].Seconds() - m.idle[server]*m.asked.Seconds()) / float64(pages)
}

// bears is how many pages a second keep one processor of a server busy.
func (m *measured) bears(server, pages int) float64 {
	return (1 - m.idle[server]) / m.each(server, pages)
}

func newMeasured(b *testing.B, replicas int) *measured {
	b.Helper()
	primary := testenv.Primary(b)
	url := primary.URL() + "&synchronous_commit=on" // else replicas get a change up to 0.4 s after its commit
	writes := testenv.Pool(b, url)
	m := &measured{site: newSiteOn(b, testenv.NATS(b), writes), servers: []*stack.Postgres{primary}}
	fillBench(b, writes)
	open := func(pool *pgxpool.Pool, err error) *pgxpool.Pool {
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(pool.Close)
		return pool
	}
	var from []Replica
	for range replicas {
		server := testenv.Replica(b, primary)
		m.servers = append(m.servers, server)
		from = append(from, Replica{
			Pool:     open(store.OpenReplicaPool(b.Context(), server.URL(), 8, false)),
			Searches: open(store.OpenReplicaPool(b.Context(), server.URL(), 2, true)),
		})
	}
	m.took, m.idle = make([]time.Duration, len(m.servers)), make([]float64, len(m.servers))
	served := open(store.OpenPool(b.Context(), url, 8))
	m.service = m.start(b, func(c *Config) {
		c.Pool, c.ReadFrom, c.Logger, c.QueueFactor = served, from, slog.New(slog.DiscardHandler), 32
	})
	m.quiet(b)
	for _, one := range m.service.replicas.all {
		testenv.Eventually(b, "a replica is used", one.usable)
	}
	return m
}

// used is the processor time of each server so far.
func (m *measured) used(b *testing.B) []time.Duration {
	b.Helper()
	all := make([]time.Duration, len(m.servers))
	for i, server := range m.servers {
		var err error
		if all[i], err = cputime.Of(server.PID()); err != nil {
			b.Fatal(err)
		}
	}
	return all
}

// page asks for the nth page, and changes something on it before, if its turn has come.
func (m *measured) page(b *testing.B, n int64, pages int) error {
	var wants wire.Conditions
	if n%int64(pages) == 0 {
		user := benchUser(n).Name()
		change := wire.Dep{Scope: "user." + user}
		_, err := m.pool.Exec(b.Context(), `UPDATE photos SET title = 'Title ' || $2::bigint WHERE id =
			(SELECT max(p.id) FROM photos p JOIN users u ON u.id = p.user_id WHERE u.name = $1)`, user, n)
		if err == nil {
			err = m.pool.QueryRow(b.Context(), "SELECT version FROM users WHERE name = $1", user).Scan(&change.Version)
		}
		if err != nil {
			return err
		}
		wants.Wants = []wire.Dep{change}
	}
	msg := nats.NewMsg(benchUser(n).Subject())
	wants.Set(msg.Header)
	reply, err := m.nc.RequestMsg(msg, 10*time.Second)
	if err == nil {
		err = wire.ErrorOf(reply)
	}
	return err
}
