package edge

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// kindCounts counts the answers of one kind of page, for `nats micro stats edge`.
type kindCounts struct {
	answers, failed, nanoseconds atomic.Int64
	lastError                    atomic.Pointer[string]
}

// counts holds one kindCounts for each kind. Index 0, [page.KindNone], counts requests for no page: redirects of old
// paths, and most 404s.
type counts []kindCounts

func newCounts() counts { return make(counts, page.KindCount) }

// add counts an answer. An error is an answer with status 500 or more.
func (c counts) add(x *exchange) {
	k := &c[x.kind]
	k.answers.Add(1)
	k.nanoseconds.Add(time.Since(x.start).Nanoseconds())
	if x.status >= 500 {
		k.failed.Add(1)
		why := strconv.Itoa(x.status)
		if x.cause != nil {
			why += ": " + x.cause.Error()
		}
		k.lastError.Store(&why)
	}
}

// endpoints lists the kinds. They are requested by HTTP and have no subject; the protocol shows the edge's address
// instead.
func (c counts) endpoints(at string) []discovery.Endpoint {
	all := make([]discovery.Endpoint, 0, len(c))
	row := func(name string, k *kindCounts) {
		e := discovery.Endpoint{Name: name, Subject: at, Requests: int(k.answers.Load()), Errors: int(k.failed.Load()),
			Processing: time.Duration(k.nanoseconds.Load())}
		if why := k.lastError.Load(); why != nil {
			e.LastError = *why
		}
		all = append(all, e)
	}
	for _, kind := range page.Kinds() {
		row(kind.String(), &c[kind])
	}
	row("none", &c[page.KindNone])
	return all
}

// figures are part of the answer on $SRV.STATS.
func (s *Server) figures() any {
	f := discovery.EdgeFigures{
		InFlight: int(valueOf(s.metrics.inFlight)), Tiers: map[string]uint64{},
		Changes: histogram.Of(s.metrics.changes), FeedStale: s.pages.tracker.FeedStale(),
		NearBytes: int(s.pages.memory.Bytes()),
	}
	for t := range tiers {
		answers := histogram.Of(s.metrics.durations[t])
		f.Answers = f.Answers.Plus(answers)
		f.Tiers[t.String()] = answers.Count()
	}
	return f
}

// valueOf is the value of a gauge; 0 if it cannot be read.
func valueOf(g prometheus.Gauge) float64 {
	var m dto.Metric
	if err := g.Write(&m); err != nil {
		return 0
	}
	return m.GetGauge().GetValue()
}

// announce shows the edge in `nats micro ls`, `info`, `stats` and `ping`. The caller calls stop, also after an error.
func (s *Server) announce() (stop func(), err error) {
	at := "http://" + s.Addr()
	if s.cfg.Encrypts() {
		at = "https://" + s.Addr()
	}
	service := &discovery.Service{
		Name: wire.ServiceEdge, ID: s.ids.edge, Version: s.cfg.Version, Metadata: discovery.Host(),
		Started: time.Now(), Logger: s.log, Description: "answers browsers from its cache, memcached and renderers",
		Endpoints: func() []discovery.Endpoint { return s.counts.endpoints(at) }, Figures: s.figures,
	}
	service.Metadata["addr"] = s.Addr()
	all, err := service.Subscribe(s.cfg.NATS)
	return func() {
		for _, sub := range all {
			_ = sub.Unsubscribe() // a closed connection has ended it
		}
	}, err
}
