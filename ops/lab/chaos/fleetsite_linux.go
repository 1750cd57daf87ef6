package chaos

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"flickrkillr/ops/fleet"
	"flickrkillr/ops/lab/audit"
	"flickrkillr/ops/lab/bench"
	"flickrkillr/ops/pool"
	"flickrkillr/ops/stack"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// readyLimit bounds how long a site may take until all is as before.
const readyLimit = 5 * time.Minute

// fleetRoles are the roles and services of machines, in site.toml's words, and on how many machines each is, from the
// first one on; 0: on all.
var fleetRoles = []struct {
	role     wire.Role
	machines int
}{
	{wire.RoleEdge, 0}, {wire.RoleRenderer, 0}, {wire.RoleCachefill, 0}, {"nats", 0}, {"memcached", 0}, {roleVoter, 0},
	{roleDatabase, 2},
}

// Two of these roles.
const (
	roleVoter    wire.Role = "etcd"
	roleDatabase wire.Role = "postgres"
)

// fleetSite is a site that `killr deploy` has brought to machines.
type fleetSite struct {
	machines *fleet.Fleet
	hosts    map[wire.Role][]*fleet.Machine // that have the role
	operator *nats.Conn
	client   *http.Client
	page     bench.Page
	setup    Setup
	// status is what killr status prints.
	status func(context.Context) (string, error)
}

// FleetPossible says why this computer cannot run a fleet of machines.
func FleetPossible() error { return fleet.Possible() }

// startFleet boots machines, deploys the program to them, and waits until all of it is ready.
func (cfg *Config) startFleet(ctx context.Context, on *scene) (err error) {
	f := &fleetSite{hosts: map[wire.Role][]*fleet.Machine{}, page: cfg.Pages.Users[0], setup: on.setup}
	on.fleet = f
	if cfg.Pages.Unwritten, err = unwritten(ctx, cfg.Stack.Env().Postgres); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cfg.Stack.Dir(), "site-")
	if err != nil {
		return err
	}
	if f.machines, err = fleet.StartSharing(ctx, on.setup.Machines, cfg.Pictures); err != nil {
		return err
	}
	if err := f.ownPictures(ctx); err != nil {
		return err
	}
	file := filepath.Join(dir, "site.toml")
	if err := os.WriteFile(file, f.toml(), 0o600); err != nil {
		return err
	}
	program := cmp.Or(on.setup.program, cfg.Program)
	killr := func(ctx context.Context, command string, args ...string) (string, error) {
		args = append([]string{"TMPDIR=" + dir, program, command, "--site", file}, args...)
		out, err := f.machines.Command(ctx, "env", args...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("killr %s: %w: %s", command, err, bytes.TrimSpace(out))
		}
		return string(out), nil
	}
	f.status = func(ctx context.Context) (string, error) { return killr(ctx, "status") }
	if _, err := killr(ctx, "deploy", "--watch", "0s"); err != nil {
		return err
	}
	on.dial = f.machines.Dial
	on.at = stack.Env{NATS: strings.Join(f.addresses("nats://%s:4222", "nats"), ","), Seeds: stack.SeedsIn(dir)}
	if on.at.Postgres, err = f.databaseURL(ctx); err != nil {
		return err
	}
	if err := cfg.fill(ctx, on); err != nil {
		return err
	}
	on.edges = f.addresses("http://%s", wire.RoleEdge)
	f.client = &http.Client{Timeout: 2 * time.Second,
		Transport: &http.Transport{DialContext: f.machines.Dial, DisableKeepAlives: true}}
	if f.operator, err = on.connect(wire.RoleOperator); err != nil {
		return err
	}
	return f.waitReady(ctx)
}

// unwritten are the pages of users with more photos than those have whom an audit takes over, most photos first.
func unwritten(ctx context.Context, postgres string) (pages []bench.Page, err error) {
	conn, err := pgx.Connect(ctx, postgres)
	if err != nil {
		return nil, fmt.Errorf("list the users to visit: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, "SELECT name FROM users WHERE photo_count > $1 ORDER BY photo_count DESC, id",
		audit.MaxPhotos)
	if err != nil {
		return nil, fmt.Errorf("list the users to visit: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list the users to visit: %w", err)
	}
	for _, name := range names {
		pages = append(pages, bench.PageAt("/photos/"+name))
	}
	if len(pages) == 0 {
		return nil, fmt.Errorf("no user has more than %d photos", audit.MaxPhotos)
	}
	return pages, nil
}

// toml is the site.toml of the machines, and notes which of them has what.
func (f *fleetSite) toml() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "[services]\npictures = %q\nmemcached-memory = 64\npostgres-memory = 64\n", fleet.SharedDir)
	for i, m := range f.machines.Machines {
		var roles []string
		for _, r := range fleetRoles {
			if i == 0 || r.role != f.setup.Alone && (r.machines == 0 || i < r.machines) {
				f.hosts[r.role] = append(f.hosts[r.role], m)
				roles = append(roles, strconv.Quote(string(r.role)))
			}
		}
		fmt.Fprintf(&b, "\n[[host]]\nname = %q\naddress = %q\nroles = [%s]\n", m.Name, m.Address,
			strings.Join(roles, ", "))
	}
	return b.Bytes()
}

// addresses are those of the machines with a role.
func (f *fleetSite) addresses(form string, role wire.Role) (all []string) {
	for _, m := range f.hosts[role] {
		all = append(all, fmt.Sprintf(form, m.Address))
	}
	return all
}

// stop ends the machines. Nothing is left of them.
func (f *fleetSite) stop() (err error) {
	if f.operator != nil {
		f.operator.Close()
	}
	if f.machines != nil {
		err = f.machines.Stop()
	}
	return err
}

// waitReady waits until all is as it is to be: each instance answers on the bus, the streams have all their replicas,
// each edge shows a page that is not stale, and PostgreSQL has its replicas and voters.
func (f *fleetSite) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var missing error
	for {
		now := f.missing(ctx)
		if now == nil {
			return nil
		}
		if ctx.Err() == nil || missing == nil { // a question that was cut short says nothing
			missing = now
		}
		if !sleep.For(ctx, 200*time.Millisecond) {
			return fmt.Errorf("the site is not as it is to be: %w", errors.Join(ctx.Err(), missing))
		}
	}
}

// missing says what is not as it is to be.
func (f *fleetSite) missing(ctx context.Context) error {
	if err := f.edgesAnswer(ctx); err != nil {
		return err
	}
	shot, err := pool.NewGatherer(f.operator, "").Gather(ctx)
	if err != nil {
		return err
	}
	for _, role := range []wire.Role{wire.RoleEdge, wire.RoleRenderer, wire.RoleCachefill} {
		if n, want := len(shot.Of(role)), len(f.hosts[role]); n != want {
			return fmt.Errorf("%d of %d with the role %s answer", n, want, role)
		}
	}
	if err := f.streamsWhole(ctx); err != nil {
		return err
	}
	status, err := f.status(ctx)
	if err != nil {
		return err
	}
	return databaseWhole(status, len(f.hosts[roleVoter]), len(f.hosts[roleDatabase]))
}

func (f *fleetSite) edgesAnswer(ctx context.Context) error {
	for _, edge := range f.addresses("http://%s", wire.RoleEdge) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, edge+f.page.Path, nil)
		if err != nil {
			return err
		}
		resp, err := f.client.Do(req)
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if tier := resp.Header.Get("X-Cache"); resp.StatusCode != http.StatusOK || tier == "stale" {
			return fmt.Errorf("%s answers %d from %q", edge, resp.StatusCode, tier)
		}
	}
	return nil
}

// streamsWhole says which stream lacks a server.
func (f *fleetSite) streamsWhole(ctx context.Context) error {
	js, err := jetstream.New(f.operator)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	servers := len(f.hosts["nats"])
	streams := js.ListStreams(ctx)
	n := 0
	for s := range streams.Info() {
		n++
		if servers == 1 {
			continue
		}
		if s.Cluster == nil || s.Cluster.Leader == "" || len(s.Cluster.Replicas) != servers-1 {
			return fmt.Errorf("the stream %s is not on %d servers", s.Config.Name, servers)
		}
		for _, peer := range s.Cluster.Replicas {
			if !peer.Current || peer.Offline {
				return fmt.Errorf("the stream %s is behind on %s", s.Config.Name, peer.Name)
			}
		}
	}
	if n == 0 && streams.Err() == nil {
		return errors.New("the bus has no stream")
	}
	return streams.Err()
}
