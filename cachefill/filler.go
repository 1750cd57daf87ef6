package cachefill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/page"
	"flickrkillr/schema/ring"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// Config configures a Filler. NATS and Memcached are required; zero values of the rest mean the defaults.
type Config struct {
	NATS      *nats.Conn
	Memcached []string // host:port of each server, in any order
	Workers   int      // fills at once, 0 is 32
	ItemLimit int      // bytes that memcached takes for one item (its -I), 0 is 1 MiB
	Version   string   // semantic version for `nats micro ls`, "" is 0.0.0
	// pages a second, at most, that are asked for when a memcached server is found empty, 0 is 400
	ReplayRate int
	Timeout    time.Duration         // of one operation on memcached, for which nobody waits; 0 is 100 ms
	Logger     *slog.Logger          // nil: discard
	Registry   prometheus.Registerer // nil: the metrics go nowhere
}

const (
	queuePerJob  = 64   // notes that wait, for each worker; more are dropped, and asked for again if still wanted
	itemOverhead = 1024 // bytes that memcached adds to key and value, generously
	lockSeconds  = 3    // how long a filler that died keeps others from the same page
	lockPrefix   = "fill:"
	stopTimeout  = 5 * time.Second
	maxTTL       = 30*24*time.Hour - time.Second // memcached reads a TTL over 30 days as a date
)

// Filler is one cachefill. Make it with New.
type Filler struct {
	cfg     Config
	log     *slog.Logger
	ring    *ring.Ring
	servers map[string]*server // by address
	jobs    *queue
	load    *rendererLoad
	metrics *metrics
	warmed  atomic.Bool
	cold    atomic.Pointer[error] // why the assets are not warm yet
}

// New makes a Filler. It opens no connection.
func New(cfg Config) (*Filler, error) {
	if cfg.NATS == nil {
		return nil, errors.New("cachefill: a NATS connection is needed")
	}
	ring, err := ring.New(cfg.Memcached)
	if err != nil {
		return nil, fmt.Errorf("cachefill: %w", err)
	}
	cfg.setDefaults()
	f := &Filler{cfg: cfg, log: cfg.Logger.With("role", "cachefill"), ring: ring, servers: map[string]*server{},
		jobs: newQueue(queuePerJob * cfg.Workers), load: &rendererLoad{nc: cfg.NATS}, metrics: newMetrics(cfg.Registry)}
	for _, addr := range cfg.Memcached {
		f.servers[addr] = newServer(addr, cfg.Workers+1, cfg.Timeout, f.log) // the one more is for the sentinel
	}
	return f, nil
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Workers = cmp.Or(c.Workers, 32)
	c.ItemLimit = cmp.Or(c.ItemLimit, 1<<20)
	c.ReplayRate = cmp.Or(c.ReplayRate, replayRate)
	c.Timeout = cmp.Or(c.Timeout, 100*time.Millisecond)
	c.Version = cmp.Or(c.Version, "0.0.0")
}

// Run serves until ctx ends: it joins the queue group, fills the assets, and then whatever notes ask for. To stop, it
// leaves the queue group, finishes the running fills within 5 s, and returns nil.
func (f *Filler) Run(ctx context.Context) error {
	subscriptions, err := f.join()
	if err != nil {
		return errors.Join(err, leave(subscriptions))
	}
	work, stop := context.WithCancel(context.WithoutCancel(ctx)) // running fills finish when ctx ends
	defer stop()
	stopping := make(chan struct{})
	var wg sync.WaitGroup
	for range f.cfg.Workers {
		wg.Go(func() { f.work(work, stopping) })
	}
	wg.Go(func() { f.warm(ctx) })
	wg.Go(func() { f.load.run(ctx, f.replaying) })
	for _, s := range f.servers {
		wg.Go(func() { s.watch(ctx, f.replay) })
	}

	<-ctx.Done()
	err = leave(subscriptions)
	close(stopping)
	defer time.AfterFunc(stopTimeout, stop).Stop()
	wg.Wait()
	for _, j := range f.jobs.rest() {
		f.ended(j, resultDropped)
	}
	for _, s := range f.servers { // only idle connections are left
		_ = s.client.Close()
	}
	return err
}

// join announces the cachefill and joins the queue group. The caller leaves, also after an error.
func (f *Filler) join() ([]*nats.Subscription, error) {
	service := &discovery.Service{
		Name: wire.ServiceCachefill, ID: nuid.Next(), Version: f.cfg.Version, Metadata: discovery.Host(),
		Started: time.Now(), Logger: f.log, Description: "keeps popular pages in memcached",
		Endpoints: func() []discovery.Endpoint {
			return []discovery.Endpoint{f.metrics.endpoint(f.jobs.len(), f.states())}
		},
		Figures: func() any { return discovery.CachefillFigures{Answers: histogram.Of(f.metrics.seconds)} },
	}
	all, err := service.Subscribe(f.cfg.NATS)
	if err != nil {
		return all, fmt.Errorf("cachefill: joining the bus: %w", err)
	}
	sub, err := f.cfg.NATS.QueueSubscribe(wire.SubjectFills, wire.QueueCachefill, f.take)
	if err != nil {
		return all, fmt.Errorf("cachefill: joining the queue group: %w", err)
	}
	return append(all, sub), nil
}

// leave ends subscriptions. Notes that have come are still taken.
func leave(subscriptions []*nats.Subscription) (err error) {
	for _, sub := range subscriptions {
		if ended := sub.Drain(); ended != nil && !errors.Is(ended, nats.ErrConnectionClosed) {
			err = errors.Join(err, fmt.Errorf("cachefill: leaving %s: %w", sub.Subject, ended))
		}
	}
	return err
}

// Ready is nil once the assets are in memcached.
func (f *Filler) Ready() error {
	switch {
	case !f.cfg.NATS.IsConnected():
		return fmt.Errorf("cachefill: NATS is %s", f.cfg.NATS.Status())
	case !f.warmed.Load():
		if why := f.cold.Load(); why != nil {
			return fmt.Errorf("cachefill: the assets are not in memcached yet: %w", *why)
		}
		return errors.New("cachefill: the assets are not in memcached yet")
	}
	return nil
}

// states returns the state of each server.
func (f *Filler) states() map[string]string {
	out := map[string]string{}
	for addr, s := range f.servers {
		out[addr] = *s.state.Load()
	}
	return out
}

// replaying reports whether this cachefill replays for some server.
func (f *Filler) replaying() bool {
	for _, s := range f.servers {
		if s.state.Load() == &stateReplaying {
			return true
		}
	}
	return false
}

// take accepts a note. nats.go calls it for one note at a time, so it only queues.
func (f *Filler) take(m *nats.Msg) {
	j := &job{came: time.Now()}
	if m.Reply != "" {
		if !wire.ValidReply(m.Reply) {
			f.log.Debug("dropped a note whose reply subject is no inbox", "subject", m.Subject, "reply", m.Reply)
			return
		}
		j.reply = []string{m.Reply}
	}
	note, err := wire.ParseFill(m.Subject, m.Header)
	if err != nil {
		f.log.Warn("note refused", "subject", m.Subject, "err", err)
		f.ended(j, resultRefused)
		return
	}
	j.Fill = note
	switch result, queued := f.jobs.put(j); {
	case queued:
	case result == resultJoined:
		f.metrics.count(result) // its requester hears how the other note ended
	default:
		f.ended(j, result)
	}
}

// ended counts how a job ended and answers its requesters.
func (f *Filler) ended(j *job, r result) {
	f.metrics.count(r)
	for _, subject := range j.reply {
		if err := f.cfg.NATS.Publish(subject, []byte(r.String())); err != nil {
			f.log.Debug("fill not answered", "page", j.Ref, "err", err)
		}
	}
}

// work fills until stopping is closed. Notes that wait then are dropped: an edge that still needs the page sends
// another.
func (f *Filler) work(ctx context.Context, stopping <-chan struct{}) {
	for {
		select {
		case <-stopping:
			return
		default:
		}
		select {
		case <-stopping:
			return
		case ref := <-f.jobs.ready:
			f.fill(ctx, f.jobs.take(ref))
			f.jobs.done(ref)
		}
	}
}

// fill does one job.
func (f *Filler) fill(ctx context.Context, j *job) {
	start := time.Now()
	result, err := f.try(ctx, j)
	f.metrics.worked(time.Since(start), err)
	if result == resultFilled {
		f.metrics.filled(j, time.Since(start))
	}
	f.ended(j, result)
	if err != nil {
		f.log.Warn("fill failed", "page", j.Ref, "result", result.String(), "err", err)
	}
}

// warm fills the assets of any renderer before a visitor requests them. It retries until it succeeds.
func (f *Filler) warm(ctx context.Context) {
	for ctx.Err() == nil {
		err := f.warmOnce(ctx)
		if err == nil {
			f.warmed.Store(true)
			return
		}
		f.cold.Store(&err)
		sleep.For(ctx, 200*time.Millisecond)
	}
}

func (f *Filler) warmOnce(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, wire.PageDeadline)
	defer cancel()
	reply, err := f.cfg.NATS.RequestWithContext(ask, wire.SubjectAssets, nil)
	if err != nil {
		return fmt.Errorf("asking for the list of assets: %w", err)
	}
	names := strings.Fields(string(reply.Data))
	for _, subject := range names {
		ref, err := page.ParseSubject(subject)
		if err != nil {
			return fmt.Errorf("list of assets: %w", err)
		}
		if result, err := f.try(ctx, &job{Fill: wire.Fill{Ref: ref}}); err != nil {
			f.metrics.count(result)
			return err
		}
	}
	f.log.Info("assets warm", "files", len(names))
	return nil
}
