package renderer

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Bounds of what a subscription holds before its handler has run. Handlers only admit, in microseconds, so this much is
// waiting only when the process gets no processor; what is beyond is dropped, and its askers ask again.
const (
	pendingMessages = 4096
	pendingBytes    = 4 << 20
	pendingChunks   = chunkQueue * wire.MaxChunk // of chunks of uploads
)

// endpoint is a kind of page, public or private, or an action: its subjects, how to parse a request, which pool answers
// it, and its statistics.
type endpoint struct {
	name     string   // among statistics and metrics
	subjects []string // subscribed to; the statistics count them together and show the first
	pool     *pool
	parse    func(*nats.Msg) (parsed, error)
	bus      *nats.Conn // by which requests come and replies go; nil: as most
	pending  int        // bytes that a subscription holds before its handler has run; 0: pendingBytes
	stats    stats
}

// endpoints lists what is answered, one line for each kind of page. Names and subjects are part of the product: `nats
// micro info renderer` shows them.
func endpoints(pages, searches, sitemaps, files, changes, passwords, privates, ownFiles,
	archives *pool) []*endpoint {
	var all []*endpoint
	for _, e := range [...]struct {
		kind page.Kind
		pool *pool
	}{
		{page.KindHome, pages},
		{page.KindExplore, pages},
		{page.KindUser, pages},
		{page.KindAlbums, pages},
		{page.KindPhoto, pages},
		{page.KindTag, pages},
		{page.KindTags, pages},
		{page.KindSearch, searches},
		{page.KindAlbum, pages},
		{page.KindAbout, pages},
		{page.KindFeed, pages},
		{page.KindFile, pages},
		{page.KindSitemap, sitemaps},
		{page.KindOEmbed, pages},
		{page.KindError, pages},
		{page.KindImage, files},
	} {
		all = append(all, &endpoint{name: e.kind.String(), subjects: e.kind.Patterns(), pool: e.pool, parse: parsePage})
	}
	all = append(all, actionEndpoints(changes)...)
	all = append(all, accountEndpoints(changes, passwords)...)
	return append(all, privateEndpoints(privates, ownFiles, archives)...)
}

// join subscribes to the subjects of the endpoints in the queue group.
func (s *Service) join() error {
	for _, e := range s.endpoints {
		for _, subject := range e.subjects {
			sub, err := cmp.Or(e.bus, s.nc).QueueSubscribe(subject, wire.QueueRenderer,
				func(m *nats.Msg) { s.receive(e, m) })
			if err = s.requests.add(sub, err); err == nil && e.pending > 0 {
				err = sub.SetPendingLimits(pendingMessages, e.pending)
			}
			if err != nil {
				return fmt.Errorf("subscribe to %s: %w", subject, err)
			}
		}
	}
	return nil
}

// announce answers on $SRV, so that `nats micro ls`, `info`, `stats` and `ping` show this service.
func (s *Service) announce() error {
	service := &discovery.Service{Name: wire.ServiceRenderer, ID: s.id, Version: s.cfg.Version, Metadata: s.metadata,
		Started: s.started, Logger: s.log,
		Description: "turns requests into pages and pictures, and makes changes",
		Endpoints:   s.statistics, Figures: s.figures}
	subscriptions, err := service.Subscribe(s.nc)
	for _, sub := range subscriptions {
		err = errors.Join(err, s.control.add(sub, nil))
	}
	return err
}

// figures are those of the pools.
func (s *Service) figures() any {
	all := discovery.RendererFigures{Pools: map[string]discovery.PoolFigures{}, Relays: s.relay.active.Load()}
	for _, p := range s.pools() {
		one := p.figures()
		if waits, ok := s.metrics.waits.WithLabelValues(p.name).(prometheus.Histogram); ok {
			one.QueueWait = histogram.Of(waits)
		}
		all.Pools[p.name] = one
	}
	for _, r := range s.replicas.all {
		one := r.figures()
		all.Replicas = append(all.Replicas, one)
		if all.ReplicaLag == nil || *all.ReplicaLag < one.Lag {
			all.ReplicaLag = &one.Lag
		}
	}
	for _, e := range s.endpoints {
		if answers, ok := s.metrics.duration.WithLabelValues(e.name).(prometheus.Histogram); ok {
			all.Answers = all.Answers.Plus(histogram.Of(answers))
		}
	}
	return all
}

// statistics returns the figures of the endpoints.
func (s *Service) statistics() []discovery.Endpoint {
	now := time.Now()
	all := make([]discovery.Endpoint, 0, len(s.endpoints))
	for _, e := range s.endpoints {
		requests, failed, lastError, processing := e.stats.totals()
		all = append(all, discovery.Endpoint{Name: e.name, Subject: e.subjects[0], Queue: wire.QueueRenderer,
			Metadata: map[string]string{"subjects": strings.Join(e.subjects, " ")},
			Requests: requests, Errors: failed, LastError: lastError, Processing: processing,
			Data: e.stats.report(now)})
	}
	return all
}
