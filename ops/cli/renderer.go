package cli

import (
	"cmp"
	"errors"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/ops/debug"
	"flickrkillr/renderer"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
)

type rendererCommand struct {
	DebugAddr string `placeholder:"HOST:PORT" help:"Serve /healthz, /readyz, /metrics and /debug/pprof/ here (default: nowhere)."`
	services
	rendererFlags
}

func (c *rendererCommand) Run(s *session) error {
	return s.runRole("renderer", &c.services, "--nats and --postgres", c.DebugAddr, func() (*role, error) {
		flags := c.rendererFlags
		flags.BaseURL = cmp.Or(flags.BaseURL, c.edge)
		return s.newRenderer("renderer", c.services, flags)
	})
}

// rendererFlags are the flags of a renderer, which `up` takes as well.
type rendererFlags struct {
	Pictures       string        `type:"path" placeholder:"DIR" help:"Directory of the pictures (default: 'pictures' in the data directory)."`
	PageWorkers    int           `default:"0" min:"0" max:"10000" placeholder:"N" help:"Pages that a renderer makes at once (0, the default: two for each processor, at least 4)."`
	SearchWorkers  int           `default:"0" min:"0" max:"10000" placeholder:"N" help:"Searches that a renderer answers at once (0, the default: one for every two processors)."`
	PictureWorkers int           `default:"0" min:"0" max:"1000" placeholder:"N" help:"Pictures not stored yet that a renderer makes at once (0, the default: one for every two processors)."`
	ActionWorkers  int           `default:"4" min:"1" max:"1000" placeholder:"N" help:"Actions, which are writes, that a renderer performs at once (default ${default})."`
	BaseURL        string        `placeholder:"URL" help:"Address by which visitors reach the site, for links that must be absolute: feeds, previews, sitemaps (default: the first edge of 'up')."`
	RendererStop   time.Duration `default:"15s" min:"1ms" max:"24h" placeholder:"TIME" help:"When a renderer stops: time to finish its requests, before they are cut (default ${default})."`
}

// searchWorkers is how many searches are answered at once, each on a connection of its own.
func (f rendererFlags) searchWorkers() int {
	return cmp.Or(f.SearchWorkers, max(1, runtime.GOMAXPROCS(0)/2))
}

// poolSize is how many connections a renderer's pool may hold: one for each page worker and each action worker, one each for the sitemap, the
// relay, the search index and the counts of tags.
func (f rendererFlags) poolSize() int32 {
	workers := f.PageWorkers
	if workers == 0 {
		workers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	return int32(workers + f.ActionWorkers + 4)
}

func (s *session) newRenderer(name string, at services, f rendererFlags) (*role, error) {
	if at.Postgres == "" {
		return nil, errors.New("a renderer needs the database: say --postgres")
	}
	images, err := pictures.OpenDir(s.pictures(f.Pictures))
	if err != nil {
		return nil, err
	}
	pool, err := store.OpenPool(s.ctx, at.Postgres, f.poolSize())
	if err != nil {
		return nil, errors.Join(err, images.Close())
	}
	searches, err := store.OpenSearchPool(s.ctx, at.Postgres, int32(f.searchWorkers()))
	if err != nil {
		pool.Close()
		return nil, errors.Join(err, images.Close())
	}
	nc, err := joinBus(at.NATS, name, s.log)
	if err != nil {
		pool.Close()
		searches.Close()
		return nil, errors.Join(err, images.Close())
	}
	shut := func() {
		nc.close()
		pool.Close()
		searches.Close()
		if err := images.Close(); err != nil {
			s.log.Error("close the picture store", "err", err)
		}
	}
	registry := prometheus.NewRegistry()
	r, err := renderer.New(renderer.Config{NATS: nc.Conn, Pool: pool, Searches: searches, Pictures: images, Logger: s.log, Registry: registry,
		Version: s.version, BaseURL: f.BaseURL, PageWorkers: f.PageWorkers, SearchWorkers: f.searchWorkers(), PictureWorkers: f.PictureWorkers,
		ActionWorkers: f.ActionWorkers, StopTimeout: f.RendererStop})
	if err != nil {
		shut()
		return nil, err
	}
	return &role{Role: debug.Role{Name: name, Registry: registry, Ready: nc.ready(r.Ready)}, run: r.Run, close: shut}, nil
}
