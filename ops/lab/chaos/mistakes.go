package chaos

import "flickrkillr/ops/lab/mutant"

// The mutants of the controls. Each switches one mechanism off.
var (
	withoutHedges = []mutant.Edit{mutant.Replace(
		"edge/hedge.go", "if allowed = allowed || r.hedges.take(); allowed {", "if allowed {",
	)}
	withoutFurtherHedges = []mutant.Edit{
		mutant.Replace("edge/hedge.go", "			elapsed := time.Since(start)\n",
			"			if !allowed {\n				continue\n			}\n			elapsed := time.Since(start)\n"),
		mutant.Replace("edge/hedge.go", "hedgeLeast   = 20", "hedgeLeast   = 4"),
	}
	withoutStale = []mutant.Edit{mutant.Replace(
		"edge/resolve.go", "return p != nil && r.tracker.MayServeStale(", "return false && r.tracker.MayServeStale(",
	)}
	withoutReconnects = []mutant.Edit{mutant.Replace(
		"edge/renderers.go", "restartWindow   = 3 * time.Second", "restartWindow   = time.Duration(0)",
	)}
	withoutPatience = []mutant.Edit{
		mutant.Replace("renderer/outage.go", "restartLimit = 4 * time.Second", "restartLimit = time.Duration(0)"),
		mutant.Replace("renderer/outage.go", "outageGrace = 60 * time.Millisecond", "outageGrace = time.Duration(0)"),
		mutant.Replace("renderer/store/read.go", "		if s.once || !retryable(err) {\n", "		if true {\n"),
		mutant.Replace("edge/renderers.go", "	retries         = 2 ", "	retries         = 0 "),
	}
	withoutReadTimeout = []mutant.Edit{mutant.Replace(
		"renderer/service.go", "defaultReadTimeout   = 1500 * time.Millisecond", "defaultReadTimeout   = time.Minute",
	)}
	// withoutLive has edges hear of changes through the stream alone.
	withoutLive = []mutant.Edit{mutant.Replace(
		"edge/freshness/feed.go", "f.nc.SubscribeSync(wire.SubjectLive)",
		"f.nc.SubscribeSync(wire.SubjectEarlyInvalidation)",
	)}
	withoutLookupTimeout = []mutant.Edit{mutant.Replace(
		"edge/cache/memcached.go", "lookupTimeout = 20 * time.Millisecond", "lookupTimeout = 20 * time.Second",
	)}
	withoutQueueLimit = []mutant.Edit{
		mutant.Replace("renderer/service.go", "defaultQueueFactor   = 8", "defaultQueueFactor   = 100_000"),
		mutant.Replace("renderer/service.go", "	s.pages.prompt = true\n", ""),
		mutant.Replace("renderer/pool.go", "return !p.relaxed && ", "return false && !p.relaxed && "),
	}
	withoutKeptConnections = []mutant.Edit{mutant.Replace("renderer/store/pool.go",
		"config.MaxConnLifetimeJitter = 10 * time.Minute",
		"config.MaxConnLifetime, config.MaxConnLifetimeJitter = time.Millisecond, 0")}
	withoutClusterTime = []mutant.Edit{
		mutant.Replace("schema/wire/clock.go", "c.offset.Store(int64(best))", "c.offset.Store(int64(0 * best))"),
	}
	withoutLongDeadline = []mutant.Edit{mutant.Replace(
		"schema/wire/wire.go", "PageDeadline  = 5 * time.Second", "PageDeadline  = 300 * time.Millisecond",
	)}
	// withoutNewer takes a copy that may be too old for an error, as well as none.
	withoutNewer = []mutant.Edit{mutant.Replace(
		"edge/resolve.go", "	older = cache.Newer(inMemory, older)\n",
		"	if older != nil || inMemory != nil {\n		return got, wire.ErrUnavailable\n	}\n",
	)}
	// withoutMisses takes every look-up in memcached that finds nothing for an error.
	withoutMisses = []mutant.Edit{mutant.Replace(
		"edge/resolve.go", "	older = cache.Newer(inMemory, older)\n",
		"	if older == nil {\n		return got, wire.ErrUnavailable\n	}\n	older = cache.Newer(inMemory, older)\n",
	)}
)
