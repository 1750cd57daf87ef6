package store

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// SearchTimeout is how long one statement of a search may take.
const SearchTimeout = 300 * time.Millisecond

// SearchLongest is the time after which a search starts no further statement. With its last statement a search takes
// at most SearchTimeout longer.
const SearchLongest = 600 * time.Millisecond

// OpenSearchPool is [OpenPool] for searches: a statement that takes longer than [SearchTimeout] ends with [ErrTooLong].
func OpenSearchPool(ctx context.Context, url string, maxConns int32) (*pgxpool.Pool, error) {
	return openPool(ctx, url, maxConns, searchSettings())
}

func searchSettings() map[string]string {
	return map[string]string{
		"statement_timeout": strconv.FormatInt(SearchTimeout.Milliseconds(), 10), "application_name": "killr search",
		"pg_trgm.similarity_threshold": "0.4", // misspelt words are never further apart, and it leaves fewer to compare
	}
}

// OpenReplicaPool is [OpenPool] for a replica, from which pages are read, or for its searches. What is read there says
// when it was read by the row heartbeat, also when the server has become the primary.
func OpenReplicaPool(ctx context.Context, url string, maxConns int32, searches bool) (*pgxpool.Pool, error) {
	settings := map[string]string{"application_name": "killr replica"}
	if searches {
		settings = searchSettings()
	}
	settings[readOnly] = "on"
	return openPool(ctx, url, maxConns, settings)
}

// OpenPool makes a pool of at most maxConns connections for [New]. It does not connect yet: Postgres may start after
// the renderer. One connection at a time is opened.
//
// A statement ends after 2 s. So does a transaction that waits for its client, because a frozen relay would block the
// outbox. Settings in the URL override these.
//
// All connections lead to the primary. The URL may name several hosts, of which the one that is it is used.
//
// Each connection plans each statement once, without its arguments: planning costs more than most statements take,
// and no argument of these statements needs another plan. The average user has ten photos, the largest 100,000. With
// the default random_page_cost a plan that fetches all photos and sorts them looks as cheap as one that follows the
// index of the listing, and is far slower for the largest user; 1.1, right for memory and SSDs, decides it. JIT
// compilation would take longer than any statement.
func OpenPool(ctx context.Context, url string, maxConns int32) (*pgxpool.Pool, error) {
	return openPool(ctx, url, maxConns, nil)
}

// readOnly is the setting of connections to replicas. A session that may not write says when it has read by the row
// heartbeat, see readAt.
const readOnly = "default_transaction_read_only"

func openPool(ctx context.Context, url string, maxConns int32, settings map[string]string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open the pool: %w", err)
	}
	config.MaxConns = maxConns
	config.PingTimeout = time.Second
	newGate().install(config.ConnConfig)
	if settings[readOnly] == "" {
		requirePrimary(&config.ConnConfig.Config)
	}
	config.MaxConnLifetimeJitter = 10 * time.Minute
	all := map[string]string{
		"application_name":                    "killr",
		"statement_timeout":                   "2s",
		"idle_in_transaction_session_timeout": "2s",
		"plan_cache_mode":                     "force_generic_plan",
		"random_page_cost":                    "1.1",
		"jit":                                 "off",
	}
	maps.Copy(all, settings)
	for name, value := range all {
		if _, set := config.ConnConfig.RuntimeParams[name]; !set {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	config.PrepareConn = setTrace(config.ConnConfig.RuntimeParams["application_name"])
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the pool: %w", err)
	}
	return pool, nil
}
