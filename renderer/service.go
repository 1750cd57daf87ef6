package renderer

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/renderer/mail"
	"flickrkillr/renderer/passkey"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/sharelink"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/discovery"
	"flickrkillr/schema/monotonic"
	"flickrkillr/schema/payload"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// Config configures a Service. NATS, Pool and Pictures are required; zero values of the rest mean the defaults.
type Config struct {
	NATS     *nats.Conn
	Pool     *pgxpool.Pool // of PoolConns connections
	Searches *pgxpool.Pool // of SearchConns connections, see store.OpenSearchPool; nil: Pool
	ReadFrom []Replica     // replicas of the database, for pages and pictures; none: all is read from Pool
	Pictures pictures.Store
	Uploads  *nats.Conn           // for uploads, so that chunks delay no page; nil: NATS
	Staging  pictures.Staging     // where uploads wait; nil: Pictures, which then has to be one
	Assets   *templates.Assets    // nil: those embedded in the program
	Logger   *slog.Logger         // nil: silent
	Registry *prometheus.Registry // nil: the metrics go nowhere
	Version  string               // of the micro service, as semver; "": 0.0.0
	BaseURL  string               // where the site is reached, such as "https://photos.example"; "" when not known

	SMTP string // the server that mails are sent by, see mail.ParseURL; "": no mail is sent

	QuotaBytes  int64 // of originals that a person may store; 0: no limit
	QuotaPhotos int64 // photos that a person may have; 0: no limit

	HEIC bool // HEIC pictures are taken, too

	PageWorkers   int // pages made at once; 0: two a processor, at least 4, and no more than Pool has connections for
	SearchWorkers int // searches answered at once; 0: one for every two processors
	// pictures made at once that are not stored, each holding a decoded original; 0: one for every two processors
	PictureWorkers int
	ActionWorkers  int // changes made at once; 0: 4, and no more than a third of what Pool has connections for
	QueueFactor    int // requests that wait, for each worker; 0: 8. Of pages more, if they are soon answered

	ReadTimeout time.Duration // after which a Postgres that says nothing is given up; 0: 1.5 s
	StopTimeout time.Duration // in which the work that is held must be finished; 0: 15 s
	SlowAfter   time.Duration // from which an answer is logged as a warning; 0: 1 s
	// Replicas is how many servers of a NATS cluster hold the stream CHANGES and the buckets: 1, 3 or 5; 0: 1.
	Replicas int

	RelayPoll time.Duration // how often the relay looks for changes that nobody announced; 0: 40 ms
	IndexPoll time.Duration // how often the search index is brought up to date; 0: 250 ms
}

// Defaults of Config.
const (
	defaultActionWorkers = 4 // each waits for the disk most of the time
	defaultQueueFactor   = 8
	defaultReadTimeout   = 1500 * time.Millisecond
	defaultStopTimeout   = 15 * time.Second
	defaultSlowAfter     = time.Second
	defaultRelayPoll     = 40 * time.Millisecond
	defaultIndexPoll     = 250 * time.Millisecond
)

const (
	// maxBatch bounds the pages that one query reads and one turn of a worker renders.
	maxBatch = 32
	// minSearchQueue lets many visitors search at the same moment: a search takes a few milliseconds.
	minSearchQueue = 64
	// minPictureQueue lets four visitors open a page of 48 pictures at the same moment when none is stored. Browsers
	// ask for all of them at once, and a picture may take 10 s.
	minPictureQueue = 4 * 48
	// sitemapWorkers make the sitemap. Caches do not keep its parts (5,000 rows, 0.8 MB), so crawlers must not occupy
	// the workers of pages.
	sitemapWorkers = 1
	// fileWorkers read stored pictures and their rows. Each waits for the disk and holds one file, 1 MiB at most.
	fileWorkers = 8
	// fileBatch is how many rows a file worker reads by one query. It then reads the files one after the other, so a
	// small batch leaves the rest to other workers.
	fileBatch = 8
	// fileQueue lets twenty visitors open such a page at the same moment. Reading a file takes well under a
	// millisecond.
	fileQueue = 20 * 48
)

// Service is one renderer. Make it with New.
type Service struct {
	cfg      Config
	nc       *nats.Conn
	uploads  *nats.Conn
	store    *store.Store
	replicas *replicas
	pictures pictures.Store
	staging  pictures.Staging
	maker    *Pages
	log      *slog.Logger
	metrics  *metrics

	id       string // unique; in replies (wire.HeaderWorker), logs and `nats micro ls`
	metadata map[string]string
	started  time.Time
	clock    wire.Clock
	passkeys *passkey.Ceremonies // valid once Run has read the site's key, as maker.keys is
	links    *sharelink.Links    // likewise
	mail     *mail.Queue         // nil: no mail is sent
	mailing  sync.WaitGroup      // until the queue has ended

	pages, searches, sitemaps, files, ownFiles, images, actions, passwords, privates *pool
	archives, shares, shareFiles, chunks, uploading, finishes, originals             *pool

	decoders     decoders
	shared       *sharedForms
	chunkBuffers payload.Buffers  // of downloads
	undeveloped  chan undeveloped // pictures that wait for a developer

	endpoints []*endpoint
	relay     *relay
	requests  subscriptions // in the queue group
	control   subscriptions // cancels, questions about the service
	buffers   sync.Pool     // of *bytes.Buffer

	heartbeats *nats.Subscription // open makes it, and keepHearing makes it anew
	hearAgain  time.Duration      // see there

	gzip      wire.Gzip
	warned    atomic.Int64 // Unix second of the last warning about busy or expired requests
	outage    *outage      // of Postgres
	busBack   atomic.Int64 // when NATS was last back, as in package monotonic; 0: it was not away
	abandoned abandoned

	serving atomic.Bool
	waiting atomic.Pointer[string] // what it waits for before it serves; nil: nothing
	begun   atomic.Bool
}

// New makes a Service. It opens no connection and sends nothing; Run does.
func New(cfg Config) (*Service, error) {
	if cfg.NATS == nil || cfg.Pool == nil || cfg.Pictures == nil {
		return nil, errors.New("renderer: Config needs NATS, Pool and Pictures")
	}
	if cfg.Staging == nil {
		var ok bool
		if cfg.Staging, ok = cfg.Pictures.(pictures.Staging); !ok {
			return nil, errors.New("renderer: Config needs Staging: Pictures has no staging area")
		}
	}
	if cfg.Assets == nil {
		var err error
		if cfg.Assets, err = templates.LoadAssets(); err != nil {
			return nil, fmt.Errorf("renderer: %w", err)
		}
	}
	cfg.setDefaults()
	metrics, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("renderer: %w", err)
	}
	s := &Service{
		cfg:      cfg,
		nc:       cfg.NATS,
		uploads:  cmp.Or(cfg.Uploads, cfg.NATS),
		store:    store.NewWithSearches(cfg.Pool, cmp.Or(cfg.Searches, cfg.Pool), store.SearchLongest),
		pictures: cfg.Pictures,
		staging:  cfg.Staging,
		decoders: make(decoders, cfg.PictureWorkers),
		metrics:  metrics,
		id:       nuid.Next(),
		started:  time.Now(),
		outage:   newOutage(),

		hearAgain:   hearAgain,
		shared:      newSharedForms(),
		undeveloped: make(chan undeveloped, developQueue),
		buffers:     sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 32<<10)) }},
	}
	s.store.OnRetry(s.outage.note)
	site := templates.Site{Assets: cfg.Assets, Base: strings.TrimSuffix(cfg.BaseURL, "/")}
	s.maker = &Pages{store: s.store, site: site, now: s.clock.Now}
	s.replicas = newReplicas(s)
	s.log = cfg.Logger.With("renderer", s.id)
	s.metadata = cfg.metadata()
	if err := s.newMailer(); err != nil {
		return nil, fmt.Errorf("renderer: %w", err)
	}
	queued := func(name string) func(int) {
		gauge := metrics.queued.WithLabelValues(name)
		return func(delta int) { gauge.Add(float64(delta)) }
	}
	s.pages = newPool("pages", cfg.PageWorkers, cfg.QueueFactor*cfg.PageWorkers, maxBatch, queued("pages"),
		s.guarded(s.answerPages))
	s.searches = newPool("searches", cfg.SearchWorkers, max(cfg.QueueFactor*cfg.SearchWorkers, minSearchQueue),
		maxBatch, queued("searches"), s.guarded(s.answerPages))
	s.sitemaps = newPool("sitemaps", sitemapWorkers, cfg.QueueFactor*sitemapWorkers, maxBatch, queued("sitemaps"),
		s.guarded(s.answerPages))
	s.files = newPool("files", fileWorkers, fileQueue, fileBatch, queued("files"), s.answerFiles)
	s.ownFiles = s.privateFiles("own-files", ownFileWorkers, ownFileQueue, queued("own-files"))
	s.shareFiles = s.privateFiles("share-files", shareFileWorkers, shareFileQueue, queued("share-files"))
	s.images = newPool("pictures", cfg.PictureWorkers, max(cfg.QueueFactor*cfg.PictureWorkers, minPictureQueue),
		maxBatch, queued("pictures"), s.guarded(s.answerImages))
	actions := func(name string, workers, queue int) (p *pool) {
		p = newPool(name, workers, queue, 1, queued(name),
			s.guarded(func(ctx context.Context, jobs []*job) { s.answerActionsOf(ctx, p, jobs) }))
		return p
	}
	s.actions = actions("actions", cfg.ActionWorkers, cfg.QueueFactor*cfg.ActionWorkers)
	s.passwords = actions("passwords", passwordWorkers(), passwordQueue)
	s.privates = actions("private", privateWorkers, privateQueue)
	s.archives = actions("archives", archiveWorkers, archiveQueue)
	s.shares = actions("shares", shareWorkers, shareQueue)
	s.chunks = actions("chunks", chunkWorkers, chunkQueue)
	s.uploading = actions("uploads", uploadWorkers, uploadQueue)
	s.finishes = actions("finishes", finishWorkers, finishQueue)
	s.originals = actions("originals", originalWorkers, originalQueue)
	s.endpoints = endpoints(s.pages, s.searches, s.sitemaps, s.files, s.actions, s.passwords, s.privates,
		s.ownFiles, s.archives)
	s.endpoints = append(s.endpoints, shareEndpoints(s.shares, s.passwords, s.shareFiles)...)
	s.endpoints = append(s.endpoints, uploadEndpoints(s.uploads, s.chunks, s.uploading, s.finishes)...)
	s.endpoints = append(s.endpoints, originalEndpoints(s.uploads, s.originals)...)
	s.endpoints = append(s.endpoints, takeoutEndpoints(s.uploads, s.originals)...)
	for _, p := range s.pools() {
		p.patient = s.restarting
	}
	s.chunks.patient = nil // they need no Postgres, and much memory
	s.pages.prompt = true
	s.images.alone = true
	s.shares.perLink, s.shareFiles.perLink, s.images.perLink = sharePerLink, shareFilesPerLink, shareImagesPerLink
	s.chunks.ordered = true
	s.passwords.ordered = true // edges wait for a reply as long as its place in this queue takes
	if s.relay, err = newRelay(s); err != nil {
		return nil, fmt.Errorf("renderer: %w", err)
	}
	return s, nil
}

// maxPasswordWorkers hash passwords, each for 25 ms and in 19 MiB. They have at most half of the processors, so that
// many sign-ins at once leave the rest to pages.
const maxPasswordWorkers = 2

func passwordWorkers() int { return max(1, min(maxPasswordWorkers, runtime.GOMAXPROCS(0)/2)) }

// passwordQueue lets two hundred people sign in at the same moment: the last one waits for five seconds.
const passwordQueue = 200

const (
	// privateWorkers make private pages, apart from actions: a page that refuses a further guess costs no change its
	// worker.
	privateWorkers = 2
	// privateQueue lets two hundred people open a form at the same moment. A page takes about a millisecond.
	privateQueue = 200
	// archiveWorkers make lists of one's own photos, apart from the pages on which people sign in: a search among
	// 100,000 photos takes 50 ms.
	archiveWorkers = 2
	archiveQueue   = 200
)

// fixedConns are the connections of Config.Pool besides those of page and action workers: one each for the sitemap, the
// relay, the heartbeat of replicas, the search index, the counts of tags, the rows of deleted accounts, the other
// leftovers of changes, zip files that are prepared, and pictures that are developed; those of the workers for
// passwords, private pages, lists of own photos, shares, uploads and originals; and rowConns for the rows of pictures.
const fixedConns = 9 + maxPasswordWorkers + privateWorkers + archiveWorkers + shareWorkers + uploadWorkers +
	finishWorkers + originalWorkers + rowConns

// rowConns is how many file workers, of all three pools, read rows at a time when all are busy. The row of a picture
// takes a tenth of what the rows of a page take, and requests of everybody that wait together share a query.
const rowConns = 4

func defaultPageWorkers() int { return max(4, 2*runtime.GOMAXPROCS(0)) }

// PoolConns is how many connections Config.Pool needs for so many workers, see Config.
func PoolConns(pageWorkers, actionWorkers int) int32 {
	return int32(cmp.Or(pageWorkers, defaultPageWorkers()) + cmp.Or(actionWorkers, defaultActionWorkers) + fixedConns)
}

// SearchConns is how many connections Config.Searches needs, one for each search worker, see Config.
func SearchConns(searchWorkers int) int32 {
	return int32(cmp.Or(searchWorkers, max(1, runtime.GOMAXPROCS(0)/2)))
}

func (c *Config) setDefaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	spare := int(c.Pool.Config().MaxConns) - fixedConns
	c.ActionWorkers = cmp.Or(c.ActionWorkers, max(1, min(defaultActionWorkers, spare/3)))
	c.PageWorkers = cmp.Or(c.PageWorkers, max(1, min(defaultPageWorkers(), spare-c.ActionWorkers)))
	c.SearchWorkers = int(SearchConns(c.SearchWorkers))
	c.PictureWorkers = cmp.Or(c.PictureWorkers, max(1, runtime.GOMAXPROCS(0)/2))
	c.QueueFactor = cmp.Or(c.QueueFactor, defaultQueueFactor)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, defaultReadTimeout)
	c.StopTimeout = cmp.Or(c.StopTimeout, defaultStopTimeout)
	c.SlowAfter = cmp.Or(c.SlowAfter, defaultSlowAfter)
	c.Replicas = cmp.Or(c.Replicas, 1)
	c.RelayPoll = cmp.Or(c.RelayPoll, defaultRelayPoll)
	c.IndexPoll = cmp.Or(c.IndexPoll, defaultIndexPoll)
	c.Version = cmp.Or(c.Version, "0.0.0")
}

// metadata distinguishes instances in `nats micro info renderer`.
func (c *Config) metadata() map[string]string {
	m := discovery.Host()
	m["page_workers"] = strconv.Itoa(c.PageWorkers)
	m["search_workers"] = strconv.Itoa(c.SearchWorkers)
	m["picture_workers"] = strconv.Itoa(c.PictureWorkers)
	m["action_workers"] = strconv.Itoa(c.ActionWorkers)
	return m
}

// guarded runs a turn so that a panic costs no worker and every request gets a reply.
func (s *Service) guarded(turn func(context.Context, []*job)) func(context.Context, []*job) {
	return func(ctx context.Context, jobs []*job) {
		err := contained(func() error {
			turn(ctx, jobs)
			return nil
		})
		for _, j := range jobs {
			if !j.work.answered && !j.work.passedOn {
				s.fail([]*job{j}, cmp.Or(err, wire.ErrInternal))
			}
		}
	}
}

// Ready is nil while the service is in the queue group, the bus is connected and stores changes, and Postgres answered
// within 3 s.
func (s *Service) Ready() error {
	switch {
	case !s.nc.IsConnected() || !s.uploads.IsConnected():
		return errors.New("renderer: NATS does not answer")
	case !s.serving.Load():
		why := "not in the queue group"
		if waiting := s.waiting.Load(); waiting != nil {
			why = *waiting
		}
		return errors.New("renderer: " + why)
	}
	if err := s.relay.stalledError(); err != nil {
		return fmt.Errorf("renderer: relay: %w", err)
	}
	answered := s.relay.lastAnswer()
	if answered == 0 {
		return errors.New("renderer: Postgres has not answered yet")
	}
	if silent := monotonic.Since(answered); silent > 3*time.Second {
		return fmt.Errorf("renderer: Postgres has not answered for %s", silent.Round(time.Second))
	}
	return nil
}
