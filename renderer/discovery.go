package renderer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/discovery"
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
// of the product: they are what `nats micro info renderer` shows. What has no key needs two subjects: the bare one, and the
// wildcard for further pages and for other origins.
func endpoints(pages, searches, sitemaps, files, changes *pool) []*endpoint {
	var all []*endpoint
	for _, e := range [...]struct {
		kind     page.Kind
		pool     *pool
		subjects []string
	}{
		{page.KindHome, pages, []string{"page.home", "page.home.>"}},
		{page.KindExplore, pages, []string{"page.explore", "page.explore.>"}},
		{page.KindUser, pages, []string{"page.user.>"}},
		{page.KindAlbums, pages, []string{"page.albums.>"}},
		{page.KindPhoto, pages, []string{"page.photo.>"}},
		{page.KindTag, pages, []string{"page.tag.>"}},
		{page.KindTags, pages, []string{"page.tags", "page.tags.>"}},
		{page.KindSearch, searches, []string{"page.search", "page.search.>"}},
		{page.KindAlbum, pages, []string{"page.album.>"}},
		{page.KindAbout, pages, []string{"page.about", "page.about.>"}},
		{page.KindFeed, pages, []string{"page.feed.>"}},
		{page.KindFile, pages, []string{"page.file.>"}},
		{page.KindSitemap, sitemaps, []string{"page.sitemap", "page.sitemap.>"}},
		{page.KindOEmbed, pages, []string{"page.oembed.>"}},
		{page.KindError, pages, []string{"page.error.>"}},
		{page.KindImage, files, []string{"image.>"}},
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
func (s *Service) announce() error {
	service := &discovery.Service{Name: serviceName, ID: s.id, Version: s.cfg.Version, Metadata: s.metadata, Started: s.started, Logger: s.log,
		Description: "turns requests into pages and pictures, and makes changes", Endpoints: s.statistics}
	subscriptions, err := service.Subscribe(s.nc)
	for _, sub := range subscriptions {
		err = errors.Join(err, s.talk.add(sub, nil))
	}
	return err
}

// statistics lists the endpoints with what was done for each.
func (s *Service) statistics() []discovery.Endpoint {
	now := time.Now()
	all := make([]discovery.Endpoint, 0, len(s.endpoints))
	for _, e := range s.endpoints {
		requests, failed, lastError, processing := e.stats.totals()
		all = append(all, discovery.Endpoint{Name: e.name, Subject: e.subjects[0], Queue: wire.QueueRenderer,
			Metadata: map[string]string{"subjects": strings.Join(e.subjects, " ")},
			Requests: requests, Errors: failed, LastError: lastError, Processing: processing, Data: e.stats.report(now)})
	}
	return all
}
