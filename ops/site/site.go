package site

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/cachefill"
	"flickrkillr/edge"
	"flickrkillr/ops/debug"
	"flickrkillr/ops/pool"
	"flickrkillr/ops/stack"
	"flickrkillr/renderer"
	"flickrkillr/schema/wire"
)

// Role names a role, as its command does.
type Role string

// The roles of a site. Instruments that measure the processor time of each part know two more: Bus is NATS as a process
// of its own, Together is NATS, a renderer and an edge in one process.
const (
	Edge      Role = "edge"
	Renderer  Role = "renderer"
	Cachefill Role = "cachefill"
	Bus       Role = "bus"
	Together  Role = "together"
)

// Config says how the roles of a site run.
type Config struct {
	Stack    *stack.Stack // services that belong to the site: Stop stops them, and faults can break them; or
	Services stack.Env    // where services are that run elsewhere
	Pictures string       // location of the picture store, see pictures.OpenFiles
	Version  string       // of the program
	Logger   *slog.Logger // nil: silent

	PicturesAlso string // another picture store while pictures move, see pictures.Both; "": none

	// What roles in this process are told. The site fills in connections, addresses, loggers and registries.
	Edge      edge.Config
	Renderer  renderer.Config
	Cachefill cachefill.Config
	AccessLog bool // log a line for each HTTP answer

	Addr string // the first edge listens here, further ones on the next ports; port 0: any free ports
	// Absolute links begin with the address of the first edge, unless Renderer.BaseURL says otherwise.
	BaseFromEdge bool
	// The debug listener of all roles in this process, or of the first process, with the next ports for the others; "":
	// none.
	DebugAddr string

	Processes *ProcessConfig // run each role as a process; nil: in this process
}

// Site is running roles, and the services under them if they belong to it. Its methods may not be called concurrently,
// except Inject, Kill, Failed and ReloadCertificates.
type Site struct {
	cfg Config
	log *slog.Logger

	watch, edges, workers, helpers Group // stopped in this order; a role that stops is not ready, and that is no news
	prepared                       bool
	failed                         chan struct{} // closed when a member of any group ends by itself
	firstAddr                      string        // of the first edge, once chosen
	turns                          map[Role]*stack.Turns

	mu      sync.Mutex // guards what follows
	roles   []*running
	struck  map[Role]int // how many have been killed or frozen, to choose the next
	scaling string       // how the number of renderers follows the load; "": it does not
}

// running is one role of a site.
type running struct {
	role    Role
	name    string
	addr    string            // an edge's, host:port
	ready   string            // a process's readiness URL; "": none
	here    debug.Role        // if it runs in this process
	process *stack.Supervised // if it does not
	member  *Member
	slot    int    // its number among the debug listeners of processes
	release func() // what was opened for it alone; nil: nothing
	reload  func() // an edge in this process: reads its certificates again
}

// New prepares a site. No role runs before Add.
func New(cfg Config) *Site {
	if cfg.Stack != nil {
		cfg.Services = cfg.Stack.Env()
	}
	s := &Site{cfg: cfg, log: cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)), struck: map[Role]int{},
		turns: map[Role]*stack.Turns{}, failed: make(chan struct{})}
	fail := sync.OnceFunc(func() { close(s.failed) })
	for _, group := range []*Group{&s.watch, &s.edges, &s.workers, &s.helpers} {
		group.OnFailure = fail
	}
	return s
}

// Add starts n more of a role and returns without waiting until they are ready. They are named by their role and a
// number from 1.
func (s *Site) Add(role Role, n int) error {
	for range n {
		if err := s.AddNamed(role, fmt.Sprintf("%s-%d", role, s.count(role)+1)); err != nil {
			return err
		}
	}
	return nil
}

// AddNamed is Add for one, with a name of its own.
func (s *Site) AddNamed(role Role, name string) error {
	if err := s.prepare(); err != nil {
		return err
	}
	group := &s.workers
	if role == Edge {
		group = &s.edges
	}
	start := s.addHere
	if s.cfg.Processes != nil {
		start = s.addProcess
	}
	slot := s.freeSlot()
	r, err := start(group, role, name)
	if err != nil {
		return err
	}
	r.slot = slot
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles = append(s.roles, r)
	return nil
}

// Remove stops the newest of a role, waits until it has finished its requests, and returns what went wrong.
func (s *Site) Remove(role Role) error {
	all := s.all(role)
	if len(all) == 0 {
		return fmt.Errorf("no %s is running", role)
	}
	r := all[len(all)-1]
	s.mu.Lock()
	s.roles = slices.DeleteFunc(s.roles, func(other *running) bool { return other == r })
	s.mu.Unlock()
	err := r.member.Stop()
	if r.release != nil {
		r.release()
	}
	if r.process != nil {
		err = errors.Join(err, r.process.Err())
	}
	return err
}

// prepare does once what comes before the first role: the debug listener, and the address that links begin with.
func (s *Site) prepare() error {
	if s.prepared {
		return nil
	}
	s.prepared = true
	if s.cfg.BaseFromEdge && s.cfg.Renderer.BaseURL == "" {
		addr, err := stack.ResolvePort(s.cfg.Addr) // renderers begin before the edge
		if err != nil {
			return err
		}
		s.firstAddr, s.cfg.Renderer.BaseURL = addr, s.url(addr)
	}
	if s.cfg.Processes != nil { // each process has its own listener and logs for itself
		return nil
	}
	if s.cfg.DebugAddr != "" {
		watch := pool.NewWatch(s.joinToWatch, s.scalingNote, s.log)
		d, err := debug.Listen(debug.Config{Addr: s.cfg.DebugAddr, Version: s.cfg.Version, Roles: s.RolesHere,
			Pool: watch, Logger: s.log})
		if err != nil {
			return err
		}
		s.log.Info("debug listener", "addr", d.Addr())
		s.helpers.Add("debug listener", d.Run)
		s.helpers.Add("page of the pool", watch.Run)
	}
	s.watch.Add("watch", func(ctx context.Context) error { return watchReady(ctx, s.RolesHere, s.log) })
	return nil
}

// joinToWatch connects to the bus for the page of the pool: as an operator if the site has that key, or else as the
// role that runs here.
func (s *Site) joinToWatch() (pool.Bus, *nats.Conn, error) {
	role := wire.RoleOperator
	if all := s.all(""); s.cfg.Services.Seeds[role] == "" && len(all) > 0 {
		role = wire.Role(all[0].role)
	}
	bus, err := stack.JoinBus(s.cfg.Services.Login(role), "pool", s.log)
	if err != nil {
		return nil, nil, err
	}
	return bus, bus.Conn, nil
}

// all are the roles so far, or those of one role; "" is any.
func (s *Site) all(role Role) (all []*running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.roles {
		if role == "" || r.role == role {
			all = append(all, r)
		}
	}
	return all
}

// freeSlot is the lowest number that no role has: ports of those that were removed are used again.
func (s *Site) freeSlot() int {
	taken := map[int]bool{}
	for _, r := range s.all("") {
		taken[r.slot] = true
	}
	slot := 0
	for taken[slot] {
		slot++
	}
	return slot
}

func (s *Site) count(role Role) int { return len(s.all(role)) }

// RolesHere are the roles in this process.
func (s *Site) RolesHere() (here []debug.Role) {
	for _, r := range s.all("") {
		if r.process == nil {
			here = append(here, r.here)
		}
	}
	return here
}

// URLs is where browsers on this machine find the edges, without a slash at the end.
func (s *Site) URLs() (urls []string) {
	for _, r := range s.all(Edge) {
		urls = append(urls, s.url(r.addr))
	}
	return urls
}

// Addrs is where the edges listen, host:port.
func (s *Site) Addrs() (addrs []string) {
	for _, r := range s.all(Edge) {
		addrs = append(addrs, r.addr)
	}
	return addrs
}

// PIDs are the processes of a role, in the order in which they were added; 0 for one that is being restarted. It fails
// for roles in this process.
func (s *Site) PIDs(role Role) (pids []int, err error) {
	for _, r := range s.all(role) {
		if r.process == nil {
			return nil, fmt.Errorf("%s has no process of its own", r.name)
		}
		pids = append(pids, r.process.PID())
	}
	return pids, nil
}

// DebugURLs is where the debug listeners of a role's processes are, without a slash at the end.
func (s *Site) DebugURLs(role Role) (urls []string) {
	for _, r := range s.all(role) {
		if r.ready != "" {
			urls = append(urls, strings.TrimSuffix(r.ready, readyPath))
		}
	}
	return urls
}

// Announce writes to stack.env where the edges are, for commands in other terminals. The services must belong to the
// site.
func (s *Site) Announce() error {
	if s.cfg.Stack == nil {
		return errors.New("announce the edges: the services belong to another site")
	}
	return s.cfg.Stack.Announce(s.URLs())
}

// ReloadCertificates has the edges in this process read their certificates again. Processes do that by themselves.
func (s *Site) ReloadCertificates() {
	for _, r := range s.all(Edge) {
		if r.reload != nil {
			r.reload()
		}
	}
}

// WaitPages returns when each edge serves the page at path, or when a role has failed: Wait and Stop say so.
func (s *Site) WaitPages(ctx context.Context, path string) error {
	// Whether the certificate is good for the name that visitors use is not asked here.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // to ourselves
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}
	for _, url := range s.URLs() {
		err := Await(ctx, s.Failed(), func(ctx context.Context) error {
			_, err := Get(ctx, client, url+path)
			return err
		})
		if err != nil && !s.hasFailed() {
			return err
		}
	}
	return nil
}

// WaitReady returns when each role says that it is ready, or when one has failed. It fails at once for a process
// without a debug listener, which cannot be asked.
func (s *Site) WaitReady(ctx context.Context) error {
	for _, r := range s.all("") {
		if err := s.waitRole(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *Site) waitRole(ctx context.Context, r *running) error {
	if r.process != nil && r.ready == "" {
		return fmt.Errorf("%s has no debug listener that says whether it is ready", r.name)
	}
	err := Await(ctx, s.Failed(), func(ctx context.Context) error {
		if r.process == nil {
			return r.here.Ready()
		}
		_, err := Get(ctx, debugClient, r.ready)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", r.name, err)
	}
	return nil
}

// Failed is closed when a role has ended without being stopped; Stop returns why.
func (s *Site) Failed() <-chan struct{} { return s.failed }

func (s *Site) hasFailed() bool {
	select {
	case <-s.failed:
		return true
	default:
		return false
	}
}

// Wait returns when ctx ends or a role has failed.
func (s *Site) Wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-s.failed:
	}
}

// Stop stops edges first, so that no request is left without an answer, then the roles that answer, then the services
// of the site. Safe to call twice.
func (s *Site) Stop() error {
	err := errors.Join(s.watch.Stop(), s.edges.Stop(), s.workers.Stop(), s.helpers.Stop())
	for _, r := range s.all("") {
		if r.release != nil {
			r.release()
			r.release = nil
		}
	}
	if s.cfg.Stack != nil {
		err = errors.Join(err, s.cfg.Stack.Stop())
	}
	return err
}
