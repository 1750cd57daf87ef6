package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"flickrkillr/ops/lab/bench"
)

type benchCommand struct {
	databaseFlag
	Edge     []string      `placeholder:"URL" help:"Address of an edge to load, such as http://127.0.0.1:8080; repeat it for each, or separate them by commas (default: the edges of the running 'up')."`
	URLs     string        `name:"urls" type:"existingfile" placeholder:"FILE" help:"File of paths to begin visits with, one a line, the most popular first (default: every user's page in the database, most photos first)."`
	Visitors int           `min:"0" max:"100000" placeholder:"N" help:"Concurrent visitors, each of whom waits for a page before the next: a closed loop (default: 16). With --rate: pages in progress at once, at most (default: 256). An edge takes 2500 connections from one machine, see edge --address-conns."`
	Rate     float64       `min:"0" placeholder:"N" help:"Begin this many pages per second, whether or not the site keeps up: an open loop. Latency counts from when a page should have begun."`
	Even     bool          `help:"With --rate: begin pages at equal intervals (default: at random, as independent visitors do: Poisson)."`
	Think    time.Duration `min:"0s" placeholder:"TIME" help:"Closed loop: time that a visitor looks at a page before the next (default: none)."`
	Duration time.Duration `default:"30s" min:"1ms" placeholder:"TIME" help:"Time to measure (default ${default})."`
	Warmup   time.Duration `default:"5s" min:"0s" placeholder:"TIME" help:"Time to load the site before measuring (default ${default})."`
	Timeout  time.Duration `default:"30s" min:"1ms" placeholder:"TIME" help:"Time after which a visitor gives up on an answer (default ${default})."`

	PagesOnly       bool    `help:"Fetch pages only, without the files and pictures that they need, as in 2007."`
	VisitPages      int     `default:"4" min:"1" max:"1000" placeholder:"N" help:"Pages in one visit: a user's page, a photo of theirs, older photos, one of those, and so on (default ${default})."`
	KeepConnections bool    `help:"Keep a visitor's connections for the next visit (default: each visit opens new ones, as another browser does)."`
	H2C             bool    `name:"h2c" env:"KILLR_H2C" help:"Use HTTP/2 without TLS, one connection for each visitor (default: HTTP/1.1, up to six)."`
	Zipf            float64 `default:"1" min:"0" max:"10" placeholder:"S" help:"Exponent of the Zipf distribution by which visits choose their first page (default ${default}; 0: all alike)."`
	Seed            uint64  `default:"1" placeholder:"N" help:"Seed of the visits: the same seed gives the same visits (default ${default})."`
	Viewport        string  `default:"1280x800" placeholder:"WxH" help:"Window size of the browsers, in CSS pixels, which decides the number and size of pictures (default ${default})."`
	Density         float64 `default:"1" min:"0.1" max:"10" placeholder:"N" help:"Device pixels for each CSS pixel (default ${default})."`
	Screens         float64 `default:"2.5" min:"0" max:"1000" placeholder:"N" help:"Fetch lazy pictures within the first N window heights of a page (default ${default})."`

	SignedIn float64 `name:"signed-in" min:"0" max:"100" placeholder:"PERCENT" help:"Percent of the visitors who are signed in and send their cookies (default: 0). The command adds 20 accounts to the database, signs them in before it measures, and removes them afterwards; visitors share their sessions. An address has 100 sign-ins a minute, so start it at most 5 times a minute. Visitors of both kinds are reported apart."`
	SignIns  int     `name:"sign-ins" min:"0" max:"10000" placeholder:"N" help:"In the middle of the measured time let N people sign in at once, and report the pages of that time apart (default: 0). The command adds their accounts to the database and removes them afterwards. To an edge on 127.0.0.1 they come from many addresses; to others from one, so that the limits of sign-ins hold (see edge --address-guesses)."`

	Turns time.Duration `default:"0s" min:"0s" placeholder:"TIME" help:"With --signed-in 50: let visitors who are signed in and others view pages by turns of this length, and compare the processor time of their requests (default: all at the same time)."`

	Peers  bool `help:"Instead of a running site: compare this program with nginx, Varnish and a plain Go program, on a small database of its own. Takes --duration for each, in --rounds; of the other flags only --tls, --gzip, --visitors and --json count."`
	TLS    bool `name:"tls" help:"With --peers: compare a near hit and a page that is in no cache over HTTP/1.1, and over HTTP/1.1 and HTTP/2 within TLS, with nginx and plain Go programs. The near hit is compressed."`
	Gzip   bool `help:"With --peers: ask for the cached page compressed, as browsers do (default: uncompressed)."`
	Rounds int  `default:"9" min:"1" max:"1000" placeholder:"N" help:"With --peers: number of rounds (default ${default})."`

	JSON   bool   `name:"json" help:"Print the result as JSON instead of a table."`
	Report string `type:"path" placeholder:"FILE" help:"Also write the result, with plots, to this HTML file."`
}

func (c *benchCommand) Run(s *session) error {
	if c.Peers {
		return c.comparePeers(s)
	}
	cfg := bench.Config{
		Edges:           c.Edge,
		Exponent:        c.Zipf,
		Seed:            c.Seed,
		Visitors:        c.Visitors,
		Rate:            c.Rate,
		Even:            c.Even,
		Think:           c.Think,
		Warmup:          c.Warmup,
		Duration:        c.Duration,
		Timeout:         c.Timeout,
		PagesOnly:       c.PagesOnly,
		VisitPages:      c.VisitPages,
		KeepConnections: c.KeepConnections,
		HTTP2:           c.H2C,
		Viewport:        bench.Viewport{Density: c.Density},
		Screens:         c.Screens,
		SignedIn:        c.SignedIn,
		Turns:           c.Turns,
	}
	if _, err := fmt.Sscanf(c.Viewport, "%dx%d", &cfg.Viewport.Width, &cfg.Viewport.Height); err != nil {
		return usage(fmt.Errorf("--viewport %s is not of the form 1280x800", c.Viewport))
	}
	var err error
	if cfg.Edges, err = c.findEdges(s.data); err != nil {
		return err
	}
	if cfg.Pages, err = c.findPages(s.ctx, s.data); err != nil {
		return err
	}
	cfg.Servers = measuredServers(s)
	shown := newBenchProgress(s.stderr, s.log)
	cfg.Progress = shown.report
	var result *bench.Result
	err = c.withPeople(s, &cfg, func() (err error) {
		result, err = bench.Run(s.ctx, cfg)
		return err
	})
	shown.end()
	if result == nil {
		return err
	}
	err = errors.Join(err, c.print(s.stdout, result))
	if c.Report != "" {
		err = errors.Join(err, result.Report().WriteFile(c.Report))
	}
	return err
}

// findEdges returns the edges of --edge, or those that `up` announced.
func (c *benchCommand) findEdges(data string) ([]string, error) {
	if len(c.Edge) > 0 {
		return c.Edge, nil
	}
	edges, err := announcedEdges(data)
	if err == nil && len(edges) == 0 {
		err = fmt.Errorf("no edge has been started in %s: run `killr up` first, or say --edge", data)
	}
	return edges, err
}

// findPages returns the pages of --urls, or the page of every user.
func (c *benchCommand) findPages(ctx context.Context, data string) (pages []bench.Page, err error) {
	if c.URLs == "" {
		if err := c.findDatabase(data); err != nil {
			return nil, err
		}
		pages, err := bench.Users(ctx, c.Postgres)
		if err != nil {
			return nil, fmt.Errorf("%w; start the site with `killr up`, or say --postgres", err)
		}
		return pages, nil
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
