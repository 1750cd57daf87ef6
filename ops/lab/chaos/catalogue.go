package chaos

import (
	"fmt"
	"strconv"
	"syscall"
	"time"

	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/lab/scale"
	"flickrkillr/ops/site"
	"flickrkillr/ops/stack"
)

// on is a setup with some changes.
func (s Setup) on(change func(*Setup)) Setup {
	change(&s)
	return s
}

// all is a load of every user's pages.
func all(t Target) []Load { return []Load{{Exponent: 1, Target: t}} }

// popular are the pages of the users with the most photos.
func popular(p Pages) []bench.Page { return p.Users[:min(len(p.Users), 100)] }

// rare are pages that hardly anybody asks for twice.
func rare(p Pages) []bench.Page { return pagesBefore(p.Users) }

// pagesBefore are many pages of listings, each of which begins at another photo or album.
func pagesBefore(listings []bench.Page) []bench.Page {
	pages := make([]bench.Page, 50_000)
	for i := range pages {
		l := listings[i%len(listings)]
		pages[i] = bench.Page{Path: fmt.Sprintf("%s/before/%d", l.Path, 1_000_000_000+i), User: l.User}
	}
	return pages
}

// albums are pages that need a query each: pages of users that wait at the same time share one.
func albums(p Pages) []bench.Page { return pagesBefore(p.Albums) }

// The controls of several rows.
var (
	oneRenderer = Control{Off: "other renderers: there is one", Setup: func(s *Setup) { s.Renderers = 1 }}
	noHedges    = Control{Off: "hedging", Edits: withoutHedges}
	noStale     = Control{Off: "stale pages", Edits: withoutStale}
	noRestart   = Control{Off: "waiting for PostgreSQL and asking again", Edits: withoutPatience}
)

// slowArgs are flags of edges with 1,400 connections, of which an address can have so many.
func slowArgs(ofAddress int) []string {
	return []string{"--max-conns", "1400", "--address-conns", strconv.Itoa(ofAddress)}
}

// catalogue is all rows.
func catalogue() []Row {
	clustered := usual.on(func(s *Setup) { s.BusServers = 3 })
	noNear := usual.on(func(s *Setup) { s.NoNear = true })
	return append([]Row{
		{
			Name: "a renderer is killed every 2 s", Visitor: "at most 50 ms more",
			Why:   "a request without an answer is sent to another renderer",
			Setup: uncached, Loads: all(Target{P999: 60 * time.Millisecond}),
			Fault:   Fault{Every: 2 * time.Second, Inject: signalInTurn(site.Renderer, syscall.SIGKILL)},
			Control: oneRenderer,
		},
		{
			Name: "a renderer stops every 1 s", Visitor: "nothing",
			Why:   "it leaves the queue group and finishes what it has",
			Setup: uncached, Loads: all(Target{P999: 60 * time.Millisecond}),
			Fault:   Fault{Every: time.Second, Inject: signalInTurn(site.Renderer, syscall.SIGTERM)},
			Control: oneRenderer,
		},
		{
			Name: "one of four renderers is frozen for 8 s", Visitor: "at most 50 ms more",
			Why:   "a request without an answer is sent to another renderer",
			Setup: uncached, Loads: all(Target{P999: 300 * time.Millisecond, Recovered: 2 * time.Second}),
			Fault: Fault{Hold: 8 * time.Second, Inject: freeze(site.Renderer, 1)}, Control: noHedges,
		},
		{
			Name: "two of four renderers are frozen for 8 s", Visitor: "at most 50 ms more",
			Why:   "a hedge that the budget refuses is tried again",
			Setup: uncached, Loads: all(Target{P999: 300 * time.Millisecond, Recovered: 2 * time.Second}),
			Fault:   Fault{Hold: 8 * time.Second, Inject: freeze(site.Renderer, 2)},
			Control: Control{Off: "further tries of a hedge, and more than 4 at once", Edits: withoutFurtherHedges},
		},
		{
			Name: "all renderers are gone for 10 s", Visitor: "stale pages, or soon a 503 that says when to retry",
			Why:   "NATS says at once that nobody listens; edges show their last copy",
			Setup: usual, Loads: []Load{
				{Name: "cached", Share: .5, Pages: popular, Known: true, Target: Target{StaleRequired: true}},
				{Name: "never asked for", Share: .5, Pages: rare, Refusals: true,
					Target: Target{Refused: 500 * time.Millisecond}},
			},
			Fault: Fault{Hold: 10 * time.Second, Inject: remove(site.Renderer)}, Control: noStale,
		},
		{
			Name: "all renderers are frozen for 8 s", Visitor: "stale pages, or soon a 503 that says when to retry",
			Why:   "requests without an answer ping all renderers",
			Setup: usual, Loads: []Load{
				{Name: "cached", Share: .5, Pages: popular, Known: true, Target: Target{StaleRequired: true}},
				{Name: "never asked for", Share: .5, Pages: rare, Refusals: true,
					Target: Target{Refused: 500 * time.Millisecond}},
			},
			Fault: Fault{Hold: 8 * time.Second, Inject: freeze(site.Renderer, usual.Renderers)}, Control: noStale,
		},
		{
			Name: "NATS is gone for 1 s", Visitor: "at most 2 s of delay",
			Why:   "edges and renderers connect again, and edges wait for that",
			Setup: uncached, Loads: all(Target{Max: 3 * time.Second, Recovered: 3 * time.Second}),
			Fault:   Fault{Every: 15 * time.Second, Hold: time.Second, Inject: held((*stack.Stack).StopNATS)},
			Control: Control{Off: "waiting for NATS", Edits: withoutReconnects},
		},
		{
			Name: "one of three servers of NATS is killed every 15 s", Visitor: "at most 2 s of delay",
			Why:   "edges hear relays at whichever server, and know whether they missed anything",
			Setup: clustered, Loads: all(Target{Max: 3 * time.Second, NoStale: true}), Changes: 20, Trust: true,
			Fault:   Fault{Every: 15 * time.Second, Hold: 5 * time.Second, Inject: killBusServer},
			Control: Control{Off: "hearing relays at once: edges read the stream", Edits: withoutLive},
		},
		{
			Name: "one of three servers of NATS is replaced every 15 s", Visitor: "at most 2 s of delay",
			Why:   "a server that retires (lame duck) sends its clients away one by one, and hands over what it leads",
			Setup: clustered, Loads: all(Target{Max: 2 * time.Second, NoStale: true}), Changes: 20, Trust: true,
			Fault:   Fault{Every: 15 * time.Second, Inject: replaceBusServer},
			Control: Control{Off: "other servers: there is one", Setup: func(s *Setup) { s.BusServers = 1 }},
		},
		{
			Name: "the server of NATS that leads the stream is killed", Visitor: "nothing false",
			Why:   "changes reach edges while the others elect a leader",
			Setup: clustered, Writes: true, Trust: true,
			Fault:   Fault{Every: 15 * time.Second, Hold: 5 * time.Second, Inject: killBusLeader},
			Control: Control{Off: "hearing relays at once: edges read the stream", Edits: withoutLive},
		},
		{
			Name: "PostgreSQL restarts", Visitor: "at most 1 s of delay",
			Why:   "reads are tried again until it is back",
			Setup: uncached, Loads: all(Target{Max: time.Second, Recovered: 3 * time.Second}),
			Fault:   Fault{Every: 15 * time.Second, Inject: whole((*stack.Stack).RestartPostgres)},
			Control: noRestart,
		},
		{
			Name: "the postmaster is killed", Visitor: "at most 3 s of delay",
			Why:   "reads are tried again until the log is replayed",
			Setup: uncached, Loads: all(Target{Max: 3 * time.Second, Recovered: 3 * time.Second}),
			Fault:   Fault{Every: 15 * time.Second, Inject: whole((*stack.Stack).KillPostmaster)},
			Control: noRestart,
		},
		{
			Name: "PostgreSQL is frozen for 10 s", Visitor: "stale pages, or soon a 503 that says when to retry",
			Why:   "queries have a time limit; then one probe asks whether it is back",
			Setup: usual, Loads: []Load{
				{Name: "cached", Share: .5, Pages: popular, Known: true, Target: Target{Recovered: 2 * time.Second}},
				{Name: "never asked for", Share: .5, Pages: rare, Refusals: true,
					Target: Target{Refused: 2 * time.Second, Recovered: 2 * time.Second}},
			},
			Fault:   Fault{Hold: 10 * time.Second, Inject: held((*stack.Stack).FreezePostgres)},
			Control: Control{Off: "the time limit of queries", Edits: withoutReadTimeout},
		},
		{
			Name: "memcached is dead for 10 s", Visitor: "nothing, or slower pages",
			Why:   "an error is a miss; a circuit breaker",
			Setup: noNear, Loads: all(Target{P99: 100 * time.Millisecond}),
			Fault:   Fault{Hold: 10 * time.Second, Inject: held((*stack.Stack).StopMemcached)},
			Control: Control{Off: "making pages that memcached does not have", Edits: withoutMisses},
		},
		{
			Name: "memcached is frozen for 10 s", Visitor: "at most 30 ms more",
			Why:   "a look-up that takes 20 ms is a miss; a circuit breaker",
			Setup: noNear, Loads: all(Target{P99: 100 * time.Millisecond}),
			Fault:   Fault{Hold: 10 * time.Second, Inject: held((*stack.Stack).FreezeMemcached)},
			Control: Control{Off: "the time limit of look-ups", Edits: withoutLookupTimeout},
		},
		{
			Name: "memcached is flushed", Visitor: "slower pages for a moment",
			Why:   "cachefills fill it with the popular pages",
			Setup: noNear, Loads: []Load{{Pages: popular, Exponent: 1, Target: Target{
				Cached: .9, CachedWithin: 10 * time.Second,
			}}},
			Fault:     Fault{Inject: named("flush memcached")},
			Control:   Control{Off: "cachefills", Setup: func(s *Setup) { s.Cachefills = 0 }},
			Addresses: true,
		},
		{
			Name: "the relay is held back for 6 s", Visitor: "slower pages",
			Why:   "edges that do not hear of changes trust no copy, and ask renderers",
			Setup: usual, Loads: all(Target{P99: 100 * time.Millisecond, NoStale: true}),
			Fault:     Fault{Inject: named("hold the relay back")},
			Control:   Control{Off: "making pages anew", Edits: withoutNewer},
			Addresses: true,
		},
		{
			Name: "the stream of changes is deleted every 15 s", Visitor: "slower pages for a moment",
			Why:   "the relay makes it anew, and edges that have missed nothing go on",
			Setup: usual, Loads: all(Target{P99: 100 * time.Millisecond, NoStale: true}),
			Fault:     Fault{Every: 15 * time.Second, Inject: named("wipe the stream")},
			Control:   Control{Off: "making pages anew", Edits: withoutNewer},
			Addresses: true,
		},
		{
			Name: "all cachefills are gone", Visitor: "nothing",
			Why:   "renderers make what memcached does not have",
			Setup: noNear, Loads: all(Target{P999: 100 * time.Millisecond}),
			Fault:   Fault{Hold: 30 * time.Second, Inject: remove(site.Cachefill)},
			Control: Control{Off: "making pages that memcached does not have", Edits: withoutMisses},
		},
		{
			Name: "an edge stops every 5 s", Visitor: "nothing",
			Why:   "it finishes its requests, and visitors go to another edge",
			Setup: usual, Loads: []Load{{Exponent: 1, Failover: true, Target: Target{P999: 100 * time.Millisecond}}},
			Fault:   Fault{Every: 5 * time.Second, Inject: signalInTurn(site.Edge, syscall.SIGTERM)},
			Control: Control{Off: "other edges: there is one", Setup: func(s *Setup) { s.Edges = 1 }},
		},
		{
			Name: "three times as many visitors as one renderer can serve", Visitor: "a 503 at once, or the page",
			Why:   "what would wait in the queue for long is refused on arrival",
			Setup: Setup{Renderers: 1, Edges: 1, NoNear: true, NoMemcached: true, SlowQueries: 20 * time.Millisecond},
			Loads: []Load{{Pages: albums, Refusals: true, Target: Target{
				Goodput: .8, P99: time.Second, Refused: 100 * time.Millisecond,
			}}},
			Overload: 3, Control: Control{Off: "the limit of the queue", Edits: withoutQueueLimit},
		},
		{
			Name: "an edge is frozen for 8 s", Visitor: "nothing, at other edges",
			Why:   "NATS drops a client that does not read, and nobody waits for it",
			Setup: uncached, Loads: []Load{{Exponent: 1, LastEdge: true, Target: Target{P99: 100 * time.Millisecond}}},
			Fault:   Fault{Hold: 8 * time.Second, Inject: freeze(site.Edge, 1)},
			Control: Control{Off: "other edges: there is one", Setup: func(s *Setup) { s.Edges = 1 }},
		},
		{
			// Slow clients could take all 1,400 connections of an edge, and get 1,000. Visitors connect for each page.
			Name: "thousands of clients read and send slowly for 20 s", Visitor: "nothing",
			Why:   "an address has some of the connections only, and slow clients are cut",
			Setup: usual.on(func(s *Setup) { s.EdgeArgs = slowArgs(1000) }),
			Loads: []Load{{Exponent: 1, Anew: true, Target: Target{P99: 100 * time.Millisecond}}},
			Fault: Fault{Hold: 20 * time.Second, Inject: slow},
			Control: Control{Off: "the limit of connections of an address", Setup: func(s *Setup) {
				s.EdgeArgs = slowArgs(1400)
			}},
		},
		{
			Name: "clocks are an hour off", Visitor: "nothing",
			Why:     "times on the bus are PostgreSQL's, and each process knows how far its own clock is off",
			Setup:   usual.on(func(s *Setup) { s.Edits, s.EnvOf = wrongClocks, clockOf }),
			Loads:   all(Target{P99: 100 * time.Millisecond, Cached: .9}),
			Control: Control{Off: "cluster time", Edits: withoutClusterTime},
		},
		{
			Name: "clocks leap by hours every 7 s", Visitor: "slower pages for a moment",
			Why: "durations are monotonic, and until the next heartbeat edges trust no older copy",
			Setup: usual.on(func(s *Setup) {
				s.Edits, s.EnvOf, s.Env = wrongClocks, clockOf, []string{clocksLeap}
			}),
			Loads:   all(Target{P99: 100 * time.Millisecond, Cached: .6}),
			Control: Control{Off: "cluster time", Edits: withoutClusterTime},
		},
		{
			// Four ways of 50 ms, and on each a round trip, for what was lost there.
			Name: "NATS is 50 ms away and loses 1%", Visitor: "slower pages", Why: "requests have seconds",
			Setup: uncached.on(func(s *Setup) {
				s.Bus = scale.Line{There: 50 * time.Millisecond, Back: 50 * time.Millisecond, Lost: .01}
			}),
			Loads:   all(Target{P99: 600 * time.Millisecond}),
			Control: Control{Off: "the time that requests have: it is 0.3 s", Edits: withoutLongDeadline},
		},
		{
			Name: "edges and renderers can open no file for 10 s", Visitor: "nothing",
			Why:   "they keep their connections, and make do with those",
			Setup: uncached, Loads: all(Target{P99: 100 * time.Millisecond}),
			Fault:   Fault{Hold: 10 * time.Second, Inject: noFiles(site.Renderer, site.Edge)},
			Control: Control{Off: "connections to PostgreSQL that are kept", Edits: withoutKeptConnections},
		},
		{
			Name: "cachefills can open no file for 10 s", Visitor: "slower pages for a moment",
			Why:   "renderers make what memcached does not have; then cachefills fill it again",
			Setup: noNear, Loads: []Load{{Pages: popular, Exponent: 1, Target: Target{
				P99: 100 * time.Millisecond, Cached: .9, CachedWithin: 10 * time.Second,
			}}},
			Fault:   Fault{Hold: 10 * time.Second, Inject: flushedAfter(noFiles(site.Cachefill))},
			Control: Control{Off: "cachefills", Setup: func(s *Setup) { s.Cachefills = 0 }},
		},
		{
			Name: "a process gets no more memory every 2 s", Visitor: "connections to an edge that ends break",
			Why:   "it ends at once, and is started again; others answer meanwhile",
			Setup: noNear, Loads: []Load{{Exponent: 1, Failover: true, Target: Target{
				Bad: .03, P99: 100 * time.Millisecond,
			}}},
			Fault:   Fault{Every: 2 * time.Second, Inject: noMemory},
			Control: Control{Off: "other renderers and edges", Setup: func(s *Setup) { s.Renderers, s.Edges = 1, 1 }},
		},
		{
			Name: "NATS is gone for 30 s", Visitor: "stale pages",
			Why:   "edges read memcached and their own caches without the bus",
			Setup: usual, Loads: []Load{{Pages: popular, Known: true, Exponent: 1, Target: Target{
				Bad: .001, StaleRequired: true, Recovered: 3 * time.Second,
			}}},
			Fault:   Fault{Hold: 30 * time.Second, Inject: held((*stack.Stack).StopNATS)},
			Control: noStale,
		},
		{
			Name: "everything is killed at once at random moments", Visitor: "error pages; no write is lost",
			Why:   "a write is acknowledged when PostgreSQL has written it",
			Setup: usual, Writes: true,
			Fault:   Fault{Every: 2 * time.Second, Inject: killEverything},
			Control: Control{Off: "waiting for the disk", Setup: func(s *Setup) { s.NoSync = true }},
		},
	}, bucketRows()...)
}
