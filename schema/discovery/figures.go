package discovery

import "flickrkillr/schema/histogram"

// RendererFigures are the figures of a renderer, see [Service].
type RendererFigures struct {
	Pools map[string]PoolFigures `json:"pools"` // by name: pages, searches, actions and so on
	// Answers has the time from a request's arrival to its reply, in seconds, since the start of the renderer.
	Answers histogram.Histogram `json:"answers"`
	// Relays is true while this renderer relays changes for all.
	Relays bool `json:"relays"`
	// ReplicaLag is by how much the replica is behind that is furthest behind, in seconds; nil: there is none.
	ReplicaLag *float64         `json:"replica_lag_s,omitempty"`
	Replicas   []ReplicaFigures `json:"replicas,omitempty"` // from which it reads
}

// ReplicaFigures are those of a replica of the database.
type ReplicaFigures struct {
	Addr string  `json:"addr"`  // host:port
	Used bool    `json:"used"`  // it answers, and is not too far behind
	Lag  float64 `json:"lag_s"` // by how much it was behind when it answered last, in seconds
}

// CachefillFigures are the figures of a cachefill, see [Service].
type CachefillFigures struct {
	// Answers has the time from a note to memcached, in seconds, since the start of the cachefill.
	Answers histogram.Histogram `json:"answers"`
}

// PoolFigures are those of one pool of workers. All but Workers and Queued count from the start of the renderer.
type PoolFigures struct {
	Workers   int                 `json:"workers"`
	Worked    float64             `json:"worked_s"` // by all workers together, in seconds
	Queued    int                 `json:"queued"`
	Busy      uint64              `json:"busy"`       // requests refused because too many waited
	QueueWait histogram.Histogram `json:"queue_wait"` // in seconds
}

// EdgeFigures are the figures of an edge, see [Service]. Histograms are in seconds. They and Tiers count from the
// start of the edge.
type EdgeFigures struct {
	InFlight int               `json:"in_flight"`
	Tiers    map[string]uint64 `json:"tiers"` // answers by where they came from, as in X-Cache
	// Answers has the time of answers, uploads and streams included.
	Answers histogram.Histogram `json:"answers"`
	// Changes has the time from the write of a change until the edge knows of it by the stream.
	Changes   histogram.Histogram `json:"changes"`
	FeedStale bool                `json:"feed_stale"` // copies are fresh for a second only
	NearBytes int                 `json:"near_bytes"` // size of the in-process cache
}
