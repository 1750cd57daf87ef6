package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"flickrkillr/ops/bench"
	"flickrkillr/ops/stack"
)

type benchCommand struct {
	databaseFlag
	Edge     []string      `placeholder:"URL" help:"An edge to visit, such as http://127.0.0.1:8080; repeat it, or separate them by commas. Default: those of the running 'up'."`
	URLs     string        `name:"urls" type:"existingfile" placeholder:"FILE" help:"Paths to begin visits with, one a line, the most popular first. Default: the page of every user in the database, most photos first."`
	Visitors int           `placeholder:"N" help:"Visitors at once, each waiting for their page: a closed loop. With --rate: pages under way at once, at most. Default: 16, with --rate 256."`
	Rate     float64       `placeholder:"N" help:"Pages begun each second, whether the site keeps up or not: an open loop. Latency then counts from when a page should have begun."`
	Even     bool          `help:"Begin the pages of --rate at even distances; not given: at random (Poisson), as independent visitors do."`
	Think    time.Duration `placeholder:"DURATION" help:"How long visitors of a closed loop look at a page."`
	Duration time.Duration `default:"30s" placeholder:"DURATION" help:"How long to measure (default ${default})."`
	Warmup   time.Duration `default:"5s" placeholder:"DURATION" help:"How long to visit before that, uncounted (default ${default})."`
	Timeout  time.Duration `default:"30s" placeholder:"DURATION" help:"How long a visitor waits for an answer (default ${default})."`

	PagesOnly       bool    `help:"Fetch pages alone, without the files and pictures they need, as the figures of 2007 were made."`
	VisitPages      int     `default:"4" placeholder:"N" help:"Pages a visit has: a user's page, a photo of theirs, older photos, one of those, and so on (default ${default})."`
	KeepConnections bool    `help:"A visitor's next visit uses the connections of the last; not given: each visit is by another browser."`
	H2C             bool    `name:"h2c" help:"Speak HTTP/2, one connection a visitor; not given: HTTP/1.1 with up to six."`
	Zipf            float64 `default:"1" placeholder:"S" help:"Exponent of the Zipf law by which visits choose where to begin; 0: all pages alike (default ${default})."`
	Seed            uint64  `default:"1" placeholder:"N" help:"Number that visits are drawn from: the same number gives the same visits (default ${default})."`
	Viewport        string  `default:"1280x800" placeholder:"WxH" help:"Size of the browsers' windows in CSS pixels, which decides the size and number of pictures (default ${default})."`
	Density         float64 `default:"1" placeholder:"N" help:"Device pixels for each CSS pixel (default ${default})."`
	Screens         float64 `default:"2.5" placeholder:"N" help:"Lazy pictures are fetched in the first so many windows' height of a page (default ${default})."`

	Peers  bool `help:"Compare this site with nginx, Varnish and a plain Go program, on a small database of its own, --duration of each in --rounds. Of the other flags it knows --gzip, --visitors and --json."`
	Gzip   bool `help:"Have the page that is kept compressed in --peers, as browsers ask for it; not given: nothing is compressed."`
	Rounds int  `default:"9" placeholder:"N" help:"Rounds of --peers (default ${default})."`

	JSON   bool   `name:"json" help:"Print the result as JSON instead of a table."`
	Report string `type:"path" placeholder:"FILE" help:"Also write the result as a page with plots, FILE.html."`
}

func (c *benchCommand) Run(s *session) error {
	if c.Peers {
		return c.comparePeers(s)
	}
	cfg := bench.Config{Edges: c.Edge, Exponent: c.Zipf, Seed: c.Seed, Visitors: c.Visitors, Rate: c.Rate, Even: c.Even, Think: c.Think,
		Warmup: c.Warmup, Duration: c.Duration, Timeout: c.Timeout, PagesOnly: c.PagesOnly, VisitPages: c.VisitPages, KeepConnections: c.KeepConnections,
		HTTP2: c.H2C, Viewport: bench.Viewport{Density: c.Density}, Screens: c.Screens}
	if _, err := fmt.Sscanf(c.Viewport, "%dx%d", &cfg.Viewport.Width, &cfg.Viewport.Height); err != nil {
		return fmt.Errorf("--viewport %s is not of the form 1280x800", c.Viewport)
	}
	var err error
	if cfg.Edges, err = c.findEdges(s.data); err != nil {
		return err
	}
	if cfg.Pages, err = c.findPages(s.ctx, s.data); err != nil {
		return err
	}
	if pid, ok := stack.Holder(s.data); ok {
		cfg.Servers = []bench.Server{{Name: "up", PID: pid}}
	}
	shown := newBenchProgress(s.stderr, s.log)
	cfg.Progress = shown.report
	result, err := bench.Run(s.ctx, cfg)
	shown.end()
	if err != nil {
		return err
	}
	err = c.print(s.stdout, result)
	if c.Report != "" {
		err = errors.Join(err, result.Report().WriteFile(c.Report))
	}
	return err
}

// findEdges returns the edges that were named, or those that `up` announced.
func (c *benchCommand) findEdges(data string) ([]string, error) {
	if len(c.Edge) > 0 {
		return c.Edge, nil
	}
	env, err := stack.ReadEnv(data)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(env.Edges) == 0 {
		return nil, fmt.Errorf("no edge has been started in %s: run `killr up` first, or say --edge", data)
	}
	return env.Edges, nil
}

// findPages returns the pages that were listed, or everybody's.
func (c *benchCommand) findPages(ctx context.Context, data string) (pages []bench.Page, err error) {
	if c.URLs == "" {
		if err := c.findDatabase(data); err != nil {
			return nil, err
		}
		return bench.Users(ctx, c.Postgres)
	}
	f, err := os.Open(c.URLs)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if pages, err = bench.ReadPages(f); err != nil {
		return nil, fmt.Errorf("%s: %w", c.URLs, err)
	}
	return pages, nil
}

func (c *benchCommand) print(w io.Writer, result *bench.Result) error {
	if !c.JSON {
		return result.WriteTable(w)
	}
	return writeJSON(w, result)
}

func writeJSON(w io.Writer, result any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(result)
}
