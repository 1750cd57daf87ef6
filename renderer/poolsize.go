package renderer

import (
	"cmp"
	"runtime"
)

// sharedConnections are the connections of a renderer's pool that belong to no worker: one each for the sitemap, the relay, the search index and
// the counts of tags.
const sharedConnections = 4

// PoolSize is how many connections the pool of a renderer needs that has so many workers for pages and for actions. 0 is the default of
// Config.
func PoolSize(pageWorkers, actionWorkers int) int32 {
	return int32(cmp.Or(pageWorkers, mostPageWorkers()) + cmp.Or(actionWorkers, defaultActionWorkers) + sharedConnections)
}

// SearchPoolSize is how many connections the pool for searches needs: one for each worker. 0 is the default of Config.
func SearchPoolSize(searchWorkers int) int32 {
	return int32(cmp.Or(searchWorkers, defaultSearchWorkers()))
}

// mostPageWorkers is the default number of page workers when the pool has a connection for each.
func mostPageWorkers() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

func defaultSearchWorkers() int { return max(1, runtime.GOMAXPROCS(0)/2) }
