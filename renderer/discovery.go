package renderer

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// serviceName is what the service is called in `nats micro ls`.
const serviceName = "renderer"

// Bounds of what a subscription holds before its handler has run. Handlers only admit, in microseconds, so this much is waiting only when
// the process gets no processor; what is beyond is dropped, and its askers ask again.
const (
	pendingMessages = 4096
	pendingBytes    = 4 << 20
)

// endpoint is a page kind or an action: the subjects it is requested on, and what was done for it.
type endpoint struct {
	name     string   // among statistics and metrics
	subjects []string // subscribed to; the statistics count them together and show the first
	pool     *pool
	parse    func(*job, *nats.Msg) error // fills in the job what is asked for, and its limit
	stats    stats
}

// endpoints lists what is answered: a page kind is one line. The names, those of the page kinds and of actions, and the subjects are part
// of the product: they are what `nats micro info renderer` shows. A listing without a key needs two subjects: the bare one for its first
// page, the wildcard for the others.
func endpoints(pages, pictures, changes *pool) []*endpoint {
	var all []*endpoint
	for _, e := range [...]struct {
		kind     page.Kind
		pool     *pool
		subjects []string
	}{
		{page.KindHome, pages, []string{"page.home", "page.home.>"}},
		{page.KindUser, pages, []string{"page.user.>"}},
		{page.KindPhoto, pages, []string{"page.photo.>"}},
		{page.KindTag, pages, []string{"page.tag.>"}},
		{page.KindSearch, pages, []string{"page.search", "page.search.>"}},
		{page.KindAlbum, pages, []string{"page.album.>"}},
		{page.KindAbout, pages, []string{"page.about"}},
		{page.KindFeed, pages, []string{"page.feed.>"}},
		{page.KindError, pages, []string{"page.error.>"}},
		{page.KindImage, pictures, []string{"image.>"}},
	} {
		all = append(all, &endpoint{name: e.kind.String(), subjects: e.subjects, pool: e.pool, parse: parsePage})
	}
	return append(all, actionEndpoints(changes)...)
}

// join subscribes to the endpoints' subjects in the queue group.
func (s *Service) join() error {
	for _, e := range s.endpoints {
		for _, subject := range e.subjects {
			err := s.work.add(s.nc.QueueSubscribe(subject, wire.QueueRenderer, func(m *nats.Msg) { s.receive(e, m) }))
			if err != nil {
				return fmt.Errorf("subscribe to %s: %w", subject, err)
			}
		}
	}
	return nil
}

// announce answers on $SRV, so that `nats micro ls`, `info`, `stats` and `ping` know this service.
//
// It speaks the protocol with the types of nats.go's micro package but without its Service, which times how long a handler runs: here that
// is how long a request takes to be admitted. Measured: 800 requests that failed after 2 ms each showed as 0.5 µs on average, and no error.
func (s *Service) announce() error {
	for verb, answer := range map[micro.Verb]func() any{
		micro.PingVerb:  func() any { return micro.Ping{ServiceIdentity: s.identity(), Type: micro.PingResponseType} },
		micro.InfoVerb:  func() any { return s.info() },
		micro.StatsVerb: func() any { return s.statistics(time.Now()) },
	} {
		for _, of := range [...]struct{ name, id string }{{"", ""}, {serviceName, ""}, {serviceName, s.id}} {
			subject, err := micro.ControlSubject(verb, of.name, of.id)
			if err != nil {
				return fmt.Errorf("announce %s: %w", verb, err)
			}
			if err := s.talk.add(s.nc.Subscribe(subject, s.answerJSON(answer))); err != nil {
				return fmt.Errorf("subscribe to %s: %w", subject, err)
			}
		}
	}
	return nil
}

func (s *Service) answerJSON(answer func() any) nats.MsgHandler {
	return func(m *nats.Msg) {
		data, err := json.Marshal(answer())
		if err == nil && m.Reply != "" {
			err = m.Respond(data)
		}
		if err != nil {
			s.log.Warn("answer a question about the service", "subject", m.Subject, "error", err)
		}
	}
}

func (s *Service) identity() micro.ServiceIdentity {
	return micro.ServiceIdentity{Name: serviceName, ID: s.id, Version: s.cfg.Version, Metadata: s.metadata}
}

func (s *Service) info() micro.Info {
	info := micro.Info{
		ServiceIdentity: s.identity(),
		Type:            micro.InfoResponseType,
		Description:     "turns requests into pages and pictures, and makes changes",
	}
	for _, e := range s.endpoints {
		info.Endpoints = append(info.Endpoints, micro.EndpointInfo{Name: e.name, Subject: e.subjects[0], QueueGroup: wire.QueueRenderer,
			Metadata: map[string]string{"subjects": strings.Join(e.subjects, " ")}})
	}
	return info
}

func (s *Service) statistics(now time.Time) micro.Stats {
	all := micro.Stats{ServiceIdentity: s.identity(), Type: micro.StatsResponseType, Started: s.started.UTC()}
	for _, e := range s.endpoints {
		requests, failed, lastError, processing := e.stats.totals()
		row := &micro.EndpointStats{
			Name:           e.name,
			Subject:        e.subjects[0],
			QueueGroup:     wire.QueueRenderer,
			NumRequests:    requests,
			NumErrors:      failed,
			LastError:      lastError,
			ProcessingTime: processing,
		}
		if requests > 0 {
			row.AverageProcessingTime = processing / time.Duration(requests)
		}
		if data, err := json.Marshal(e.stats.report(now)); err == nil { // numbers and strings always marshal
			row.Data = data
		}
		all.Endpoints = append(all.Endpoints, row)
	}
	return all
}
