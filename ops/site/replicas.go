package site

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer"
	"flickrkillr/renderer/store"
)

// openReplicas opens the pools of the replicas that a renderer reads from. Opening does not wait for them.
func openReplicas(urls []string, cfg renderer.Config) (all []renderer.Replica, release func(), err error) {
	var pools []*pgxpool.Pool
	release = func() {
		for _, pool := range pools {
			pool.Close()
		}
	}
	open := func(url string, connections int32, searches bool) *pgxpool.Pool {
		if err != nil {
			return nil
		}
		var pool *pgxpool.Pool
		if pool, err = store.OpenReplicaPool(context.Background(), url, connections, searches); err == nil {
			pools = append(pools, pool)
		}
		return pool
	}
	for _, url := range urls {
		all = append(all, renderer.Replica{
			Pool:     open(url, renderer.ReplicaConns(cfg.PageWorkers), false),
			Searches: open(url, renderer.SearchConns(cfg.SearchWorkers), true),
		})
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return all, release, nil
}
