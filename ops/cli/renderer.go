package cli

import (
	"cmp"
	"time"

	"flickrkillr/ops/site"
	"flickrkillr/renderer"
	"flickrkillr/renderer/password"
)

type rendererCommand struct {
	PostgresRead []string `sep:" " placeholder:"URL" help:"Address of a replica of the database, from which pages and pictures are read; repeat it for each, the environment variable separates them by spaces. One that is more than a second behind is not used. Give it only once all edges are of a release that knows it."`
	roleFlags
	rendererFlags
}

func (c *rendererCommand) Run(s *session) error {
	end, err := s.workOutside(c.PictureWorkers, password.OutsideBound)
	if err != nil {
		return err
	}
	defer end()
	c.readFrom = c.PostgresRead
	return s.runRole(site.Renderer, &c.roleFlags, "--nats and --postgres", func() site.Config {
		cfg := site.Config{Renderer: c.config()}
		cfg.Pictures, cfg.PicturesAlso = c.places(s)
		cfg.Renderer.BaseURL = cmp.Or(c.BaseURL, c.edge)
		return cfg
	})
}

// rendererFlags are the flags of a renderer, which `up` takes as well.
type rendererFlags struct {
	pictureFlags
	PageWorkers    int           `default:"0" min:"0" max:"10000" placeholder:"N" help:"Pages that a renderer makes at once (0, the default: two for each processor, at least 4)."`
	SearchWorkers  int           `default:"0" min:"0" max:"10000" placeholder:"N" help:"Searches that a renderer answers at once (0, the default: one for every two processors)."`
	PictureWorkers int           `default:"0" min:"0" max:"1000" placeholder:"N" help:"Pictures not stored yet that a renderer makes at once (0, the default: one for every two processors)."`
	ActionWorkers  int           `default:"4" min:"1" max:"1000" placeholder:"N" help:"Actions, which are writes, that a renderer performs at once (default ${default})."`
	BaseURL        string        `placeholder:"URL" help:"Address by which visitors reach the site, for links that must be absolute: feeds, previews, sitemaps (default: the first edge of 'up')."`
	SMTP           string        `name:"smtp" placeholder:"URL" help:"Mail server, for links that set a new password: smtp://user:password@host:587?from=address, with STARTTLS unless tls=off is added, or smtps:// (default: no mail). Other users of the machine can read flags: set KILLR_SMTP instead."`
	QuotaBytes     int64         `default:"21474836480" min:"0" placeholder:"N" help:"Bytes of original photos that a person may store (default ${default}, 20 GiB; 0: no limit). Give it to all renderers, once each is of this version: an older one removes such photos."`
	QuotaPhotos    int64         `default:"100000" min:"0" placeholder:"N" help:"Photos that a person may have (default ${default}; 0: no limit). Give it to all renderers."`
	HEIC           bool          `name:"heic" help:"Take HEIC pictures, as phones make them. HEVC, which they use, is covered by patents in some countries. Give it to all renderers."`
	Replicas       int           `default:"1" enum:"1,3,5" placeholder:"N" help:"Servers of a NATS cluster that hold the stream of changes and the buckets: 1, 3 or 5 (default ${default}). With 3, one may fail."`
	RendererStop   time.Duration `default:"15s" min:"1ms" max:"24h" placeholder:"TIME" help:"When a renderer stops: time to finish its requests, before they are cut (default ${default})."`
}

// config is what the flags tell a renderer.
func (f rendererFlags) config() renderer.Config {
	return renderer.Config{
		BaseURL:        f.BaseURL,
		PageWorkers:    f.PageWorkers,
		SearchWorkers:  f.SearchWorkers,
		PictureWorkers: f.PictureWorkers,
		ActionWorkers:  f.ActionWorkers,
		SMTP:           f.SMTP,
		QuotaBytes:     f.QuotaBytes,
		QuotaPhotos:    f.QuotaPhotos,
		HEIC:           f.HEIC,
		Replicas:       f.Replicas,
		StopTimeout:    f.RendererStop,
	}
}
