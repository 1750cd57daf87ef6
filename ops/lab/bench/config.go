package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"
)

// Config is the input of a run. Edges and Pages are required.
type Config struct {
	Edges []string // http://host:port of each, or https; visitors take turns
	Pages []Page   // where visits begin, the most popular first
	// Exponent of the Zipf distribution by which pages are drawn: the n-th is 1/n^Exponent as likely as the first. 0:
	// all alike.
	Exponent float64
	Seed     uint64 // the same seed draws the same visits

	Visitors int // closed loop: how many, 0 is 16; open loop: most pages at once, 0 is 256
	// Open loop: pages begun per second, whatever the server does. 0: closed loop, each visitor waits for their page.
	Rate float64
	// Open loop: at even intervals. Otherwise as a Poisson process, which is how independent visitors arrive.
	Even  bool
	Think time.Duration // closed loop: pause between a visitor's pages

	Warmup   time.Duration // before the counted time
	Duration time.Duration // counted time, 0 is 10 s
	Timeout  time.Duration // of one request, 0 is 30 s

	PagesOnly  bool // request pages, but nothing that they need
	VisitPages int  // most pages of a visit, 0 is 4
	// A visit uses the connections of the visitor's last one. Otherwise each visit is a new browser.
	KeepConnections bool
	Identity        bool // ask for uncompressed bodies; otherwise gzip, as browsers do
	// A visitor whose edge cannot be reached goes to the next one, as a browser does with a name of several addresses.
	// A new visit begins at the visitor's own edge again.
	Failover bool
	// With Failover: a visitor who waits so long for an answer's first byte, or loses the answer on the way, asks the
	// next edge for the page, each edge once; and connects to the next one too when the first takes a moment. 0: the
	// visitor waits for Timeout.
	Patience  time.Duration
	raceAfter time.Duration // after how long without a connection the next edge is tried too; 0: connectPatience
	HTTP2     bool          // one connection of HTTP/2, without TLS (h2c) or with it
	Streams   int           // with HTTP2 and KeepConnections: visitors who share a connection, 0 is 1
	Viewport  Viewport
	Screens   float64 // lazy pictures are fetched within this many screens of a page, 0 is 2.5

	// SignedIn is how many percent of the visitors are signed in. Each of these sends one of Cookies, a header field
	// Cookie, with every request.
	SignedIn float64
	Cookies  []string
	// Turns lets visitors who are signed in and others view pages by turns of this length, in a closed loop, and has
	// the processor time of the requests of each told apart. 0: all view pages at the same time.
	Turns time.Duration
	// Storm does something to the site, once, at half of the counted time. Pages that are requested while it runs are
	// reported apart. nil: nothing.
	Storm func(context.Context) Storm

	Step     time.Duration  // that each point of the series stands for, 0: see interval
	Servers  []Server       // processes whose processor time is counted
	Progress func(Progress) // called about once a second, never concurrently

	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: by this computer's network
}

// Page is a page to request.
type Page struct {
	Path string // with its query, if any
	User string // the page must link to a page of this user; "": any
}

// Viewport is the inside of a browser's window. The zero value is 1280 by 800 at one device pixel per CSS pixel.
type Viewport struct {
	Width   int     `json:"width"` // CSS pixels
	Height  int     `json:"height"`
	Density float64 `json:"density"` // device pixels per CSS pixel
}

// Server is a process on this machine whose processor time counts, with that of its descendants.
type Server struct {
	Name string
	PID  int
}

// Progress is the state of a running benchmark.
type Progress struct {
	Warming  bool
	Elapsed  time.Duration // of Total; both without the warm-up, or of the warm-up alone
	Total    time.Duration
	Pages    float64 // per second, since the last call
	Requests float64 // per second, since the last call
	P99      time.Duration
	Failures int64 // so far
}

// The defaults that Config names.
const (
	defaultDuration = 10 * time.Second
	defaultTimeout  = 30 * time.Second
	defaultClosed   = 16
	defaultOpen     = 256
	defaultVisit    = 4
	defaultScreens  = 2.5 // Chrome also fetches the 1,250 px below the visible screen on a good connection
)

// complete checks cfg and applies the defaults.
func (cfg Config) complete() (Config, error) {
	switch {
	case len(cfg.Edges) == 0:
		return cfg, errors.New("bench: no edge is given")
	case len(cfg.Pages) == 0:
		return cfg, errors.New("bench: no page is given")
	case cfg.Rate < 0 || cfg.Exponent < 0 || cfg.Visitors < 0 || cfg.VisitPages < 0 || cfg.Screens < 0:
		return cfg, errors.New("bench: a rate, exponent or number is negative")
	case cfg.Rate > 0 && cfg.Think > 0:
		return cfg, errors.New("bench: a rate and a think time exclude each other: the rate says when pages begin")
	}
	if cfg.SignedIn < 0 || cfg.SignedIn > 100 || cfg.SignedIn > 0 && len(cfg.Cookies) == 0 {
		return cfg, fmt.Errorf("bench: %g%% of the visitors cannot be signed in with %d cookies", cfg.SignedIn,
			len(cfg.Cookies))
	}
	if cfg.Turns > 0 && (cfg.Rate > 0 || cfg.SignedIn <= 0 || cfg.SignedIn >= 100 || cfg.Storm != nil) {
		return cfg, errors.New("bench: turns need a closed loop without a storm, and visitors of both kinds")
	}
	if cfg.Streams < 0 || cfg.Streams > 1 && !(cfg.HTTP2 && cfg.KeepConnections) {
		return cfg, errors.New("bench: visitors share connections only with HTTP/2, when connections are kept")
	}
	if cfg.Patience < 0 || cfg.Patience > 0 && (!cfg.Failover || cfg.HTTP2) {
		return cfg, errors.New("bench: patience is for visitors who go to another edge, by HTTP/1.1")
	}
	for _, e := range cfg.Edges {
		if _, err := parseEdge(e); err != nil {
			return cfg, err
		}
	}
	if cfg.Visitors == 0 {
		cfg.Visitors = defaultClosed
		if cfg.Rate > 0 {
			cfg.Visitors = defaultOpen
		}
	}
	setZero(&cfg.Duration, defaultDuration)
	setZero(&cfg.Timeout, defaultTimeout)
	setZero(&cfg.VisitPages, defaultVisit)
	setZero(&cfg.Streams, 1)
	setZero(&cfg.Screens, defaultScreens)
	if cfg.Viewport.Width == 0 || cfg.Viewport.Height == 0 {
		cfg.Viewport.Width, cfg.Viewport.Height = 1280, 800
	}
	setZero(&cfg.Viewport.Density, 1)
	if cfg.Dial == nil {
		cfg.Dial = (&net.Dialer{Timeout: cfg.Timeout}).DialContext
	}
	return cfg, nil
}

// accepted is the Accept-Encoding of every request. It is never empty, because net/http's client would then add its
// own.
func (cfg *Config) accepted() string {
	if cfg.Identity {
		return "identity"
	}
	return "gzip"
}

func setZero[T comparable](at *T, value T) {
	var zero T
	if *at == zero {
		*at = value
	}
}

// edge is the address of an edge, in parts.
type edge struct {
	url    string // without a slash at its end
	secure bool
	addr   string // host:port
	host   string // as in the Host header
}

func parseEdge(text string) (edge, error) {
	u, err := url.Parse(text)
	if err != nil {
		return edge{}, fmt.Errorf("bench: edge: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" {
		return edge{}, fmt.Errorf("bench: edge %q is not of the form http://host:port", text)
	}
	e := edge{url: u.Scheme + "://" + u.Host, secure: u.Scheme == "https", addr: u.Host, host: u.Host}
	if u.Port() == "" {
		e.addr = net.JoinHostPort(u.Hostname(), map[bool]string{false: "80", true: "443"}[e.secure])
	}
	return e, nil
}
