// Package debug is the HTTP listener for operators: is a role alive, is it ready, its metrics, its profiles,
// and who else is there.
//
// **Input**: the metrics of each role of this process and a function that says whether it is ready. **Output**:
// /healthz, /readyz, /metrics (Prometheus), /pool and /debug/pprof/, on an address that no visitor reaches. **Must not
// touch**: the roles themselves; it imports none.
package debug

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	buildinfo "runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"flickrkillr/ops/pool"
)

// Role is one instance of a role in this process.
type Role struct {
	Name     string               // "renderer-2": becomes the label `instance` of its metrics
	Registry *prometheus.Registry // its metrics; nil: none
	Ready    func() error         // nil once it can serve; says what is missing
}

// Server answers for the roles of one process.
type Server struct {
	listener net.Listener
	http     *http.Server
}

// Config says what a listener serves.
type Config struct {
	Addr    string        // host:port; port 0: any free one
	Version string        // of the program
	Roles   func() []Role // called at each request: roles may come later than the listener
	Pool    *pool.Watch   // the page /pool; nil: none. Its owner runs it
	Logger  *slog.Logger
}

// Listen opens the address at once, so that a taken port is known before anything else starts. Run must follow.
func Listen(cfg Config) (*Server, error) {
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("debug listener: %w", err)
	}
	return &Server{listener: l, http: &http.Server{
		Handler:           Handler(cfg),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}}, nil
}

// Addr is where it listens, host:port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run serves until ctx ends, then lets running answers finish for a second; a profile being taken is cut short.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if err := s.http.Shutdown(grace); err != nil {
			stopped <- s.http.Close()
			return
		}
		stopped <- nil
	})
	err := s.http.Serve(s.listener)
	if stop() || !errors.Is(err, http.ErrServerClosed) { // it ended by itself
		return fmt.Errorf("debug listener: %w", err)
	}
	return <-stopped
}

// Handler is what Server serves.
func Handler(cfg Config) http.Handler {
	process := prometheus.NewRegistry() // of all roles together
	process.MustRegister(buildInfo(cfg.Version), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { ready(w, cfg.Roles()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer{process: process, roles: cfg.Roles}, promhttp.HandlerOpts{
		EnableOpenMetrics: true, // else exemplars are left out
	}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	if cfg.Pool != nil {
		cfg.Pool.Register(mux)
	}
	return mux
}

// buildInfo says of what this process was built.
func buildInfo(version string) prometheus.Collector {
	revision := "unknown"
	if info, ok := buildinfo.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "killr_build_info", Help: "Always 1; its labels say which build of the program this is.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "go_version": runtime.Version()},
	})
	g.Set(1)
	return g
}

// ready writes 200 if every role is, and otherwise 503 and a line for each that is not.
func ready(w http.ResponseWriter, roles []Role) {
	if err := Ready(roles); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// Ready returns nil if every role can serve, and otherwise an error with a line for each that cannot.
func Ready(roles []Role) error {
	if len(roles) == 0 {
		return errors.New("starting")
	}
	var missing []error
	for _, r := range roles {
		if err := r.Ready(); err != nil {
			missing = append(missing, fmt.Errorf("%s: %w", r.Name, err))
		}
	}
	return errors.Join(missing...)
}
