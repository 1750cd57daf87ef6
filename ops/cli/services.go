package cli

import (
	"errors"
	"fmt"
	"os"

	"flickrkillr/ops/stack"
	"flickrkillr/schema/wire"
)

// services are the flags that say where a role finds the services it needs.
type services struct {
	NATS      string   `env:"NATS_URL" placeholder:"URL" help:"Address of NATS, the bus; of a cluster all, separated by commas, the nearest first (default: as in the data directory's stack.env)."`
	NATSSeed  string   `type:"path" placeholder:"FILE" help:"File with the nkey seed by which this command signs in to NATS (default: as in the data directory, for the NATS of its stack.env; a NATS that asks nobody who they are needs none)."`
	NATSCA    string   `name:"nats-ca" type:"path" placeholder:"FILE" help:"File with the certificates, in PEM, that sign those of NATS: speak TLS with it (default: only if NATS asks for TLS, by the certificates of this machine)."`
	Postgres  string   `env:"DATABASE_URL" placeholder:"URL" help:"Address of the database (default: as in stack.env)."`
	readFrom  []string // addresses of replicas of the database
	edge      string   // where an edge of the site is that NATS and Postgres belong to; "" when not known
	Memcached []string `env:"MEMCACHED_SERVERS" placeholder:"HOST:PORT" help:"Address of a memcached server; repeat it for each, or separate them by commas. Every role must be given the same servers (default: as in stack.env)."`
}

// find takes addresses that were not given from the data directory's stack.env, and the seed of a role from beside it.
// flags are the names of the flags that give the addresses, for error messages.
func (v *services) find(data, flags string, role wire.Role) error {
	complete := v.NATS != "" && v.Postgres != "" && len(v.Memcached) > 0
	env, err := stack.ReadEnv(data)
	if errors.Is(err, os.ErrNotExist) || err != nil && complete {
		if complete {
			return nil
		}
		if v.NATS == "" && v.Postgres == "" {
			return fmt.Errorf("nothing has been started in %s: run `killr up` first, or say %s", data, flags)
		}
		return nil // each command reports what it lacks
	}
	if err != nil {
		return err
	}
	if v.NATS == "" {
		v.NATS = env.NATS
	}
	if v.NATSSeed == "" && v.NATS == env.NATS {
		v.NATSSeed = env.Seeds[role]
	}
	if v.Postgres == "" {
		v.Postgres = env.Postgres
	}
	if len(v.Memcached) == 0 {
		v.Memcached = env.Memcached
	}
	if v.NATS == env.NATS && v.Postgres == env.Postgres && len(env.Edges) > 0 {
		v.edge = env.Edges[0]
	}
	return nil
}

// env is where the services are, for a process that runs one role.
func (v *services) env(role wire.Role) stack.Env {
	return stack.Env{
		NATS: v.NATS, NATSCA: v.NATSCA, Seeds: stack.Seeds{role: v.NATSSeed},
		Postgres: v.Postgres, ReadFrom: v.readFrom, Memcached: v.Memcached,
	}
}

// announcedEdges are the addresses of the edges that the last `up` in a data directory started; none: there was none.
func announcedEdges(data string) ([]string, error) {
	env, err := stack.ReadEnv(data)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return env.Edges, err
}
