package chaos

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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

// database is where machines reach PostgreSQL, which is outside of them, as one that is bought.
const database = "10.77.0.254:5432"

// readyLimit bounds how long a site may take until all is as before.
const readyLimit = 3 * time.Minute

// fleetRoles are the roles and services of each machine, in site.toml's words.
var fleetRoles = []wire.Role{wire.RoleEdge, wire.RoleRenderer, wire.RoleCachefill, "nats", "memcached"}

// fleetSite is a site that `killr deploy` has brought to machines.
type fleetSite struct {
	machines *fleet.Fleet
	hosts    map[wire.Role][]*fleet.Machine // that have the role
	operator *nats.Conn
	client   *http.Client
	close    func() // what machines reach of this computer; nil: nothing
	page     bench.Page
}

// FleetPossible says why this computer cannot run a fleet of machines.
func FleetPossible() error { return fleet.Possible() }

// startFleet boots machines, deploys the program to them, and waits until all of it is ready.
func (cfg *Config) startFleet(ctx context.Context, on *scene) (err error) {
	f := &fleetSite{hosts: map[wire.Role][]*fleet.Machine{}, page: cfg.Pages.Users[0]}
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
	// Renderers have a user of their own, and the pictures were painted by another one.
	first := f.machines.Machines[0]
	if _, err := first.Run(ctx, "chmod -R a+rwX "+fleet.SharedDir); err != nil {
		return err
	}
	address, err := url.Parse(cfg.Stack.Env().Postgres)
	if err != nil {
		return err
	}
	if f.close, err = f.machines.Expose(database, address.Host); err != nil {
		return fmt.Errorf("let machines reach PostgreSQL: %w", err)
	}
	address.Host = database
	file := filepath.Join(dir, "site.toml")
	if err := os.WriteFile(file, f.toml(on.setup, address.String()), 0o600); err != nil {
		return err
	}
	program := cmp.Or(on.setup.program, cfg.Program)
	deploy := f.machines.Command(ctx, "env", "TMPDIR="+dir, program, "deploy", "--site", file, "--watch", "0s")
	if out, err := deploy.CombinedOutput(); err != nil {
		return fmt.Errorf("killr deploy: %w: %s", err, bytes.TrimSpace(out))
	}
	on.dial = f.machines.Dial
	on.at = stack.Env{NATS: strings.Join(f.addresses("nats://%s:4222", "nats"), ","), Seeds: stack.SeedsIn(dir),
		Postgres: cfg.Stack.Env().Postgres}
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
func (f *fleetSite) toml(setup Setup, postgres string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "[services]\npostgres = %q\npictures = %q\nmemcached-memory = 64\n", postgres, fleet.SharedDir)
	for i, m := range f.machines.Machines {
		var roles []string
		for _, role := range fleetRoles {
			if i == 0 || role != setup.Alone {
				f.hosts[role] = append(f.hosts[role], m)
				roles = append(roles, strconv.Quote(string(role)))
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
	if f.close != nil {
		f.close()
	}
	return err
}

// waitReady waits until all is as it is to be: each instance answers on the bus, the streams have all their replicas,
// and each edge shows a page that is not stale.
func (f *fleetSite) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for {
		missing := f.missing(ctx)
		if missing == nil {
			return nil
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
	return f.streamsWhole(ctx)
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
