package stack

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"flickrkillr/schema/wire"
)

// Env is where the services of a running stack are.
type Env struct {
	NATS      string   // nats://127.0.0.1:4222, or several separated by commas, the preferred one first
	NATSCA    string   // the file with the certificates that sign those of NATS; "": none
	Seeds     Seeds    // by which roles sign in to NATS; nil: it asks for none
	Postgres  string   // postgres://user:password@127.0.0.1:port/database?sslmode=disable
	ReadFrom  []string // those of replicas, from which renderers read pages
	Memcached []string // host:port of each server
	Edges     []string // http://127.0.0.1:8080, once they have been announced
}

// Login is how a role signs in to NATS.
func (e Env) Login(role wire.Role) Login {
	return Login{URL: e.NATS, CA: e.NATSCA, Role: role, Seed: e.Seeds[role]}
}

// EnvFile is the file in a data directory that holds the addresses of the stack last started there.
const EnvFile = "stack.env"

// writeEnv writes the addresses to stack.env, where roles and shells find them. Besides the variables of roles it sets
// those of psql, as in the address psql, and the operator's seed for the NATS CLI, and adds bin, where setup puts that
// CLI, to PATH. The file has passwords: only its owner may read it.
func writeEnv(dir, bin string, env Env, psql string) error {
	db, err := url.Parse(psql)
	if err != nil {
		return fmt.Errorf("write %s: %w", EnvFile, err)
	}
	password, _ := db.User.Password()
	var b strings.Builder
	b.WriteString("# Where the services started by `up` are. Use: . " + EnvFile + "\n")
	for _, v := range [][2]string{
		{"KILLR_DATA", dir},
		{"NATS_URL", env.NATS},
		{"NATS_NKEY", env.Seeds[wire.RoleOperator]},
		{"DATABASE_URL", env.Postgres},
		{"MEMCACHED_SERVERS", strings.Join(env.Memcached, ",")},
		{"KILLR_EDGE", strings.Join(env.Edges, ",")},
		{"PGHOST", db.Hostname()},
		{"PGPORT", db.Port()},
		{"PGUSER", db.User.Username()},
		{"PGPASSWORD", password},
		{"PGDATABASE", strings.TrimPrefix(db.Path, "/")},
	} {
		if v[1] != "" {
			b.WriteString("export " + v[0] + "=" + Quote(v[1]) + "\n")
		}
	}
	if bin != "" {
		b.WriteString("export PATH=\"$PATH\":" + Quote(bin) + "\n")
	}
	path := filepath.Join(dir, EnvFile)
	making := path + ".making"
	if err := os.Remove(making); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write %s: %w", EnvFile, err)
	}
	if err := os.WriteFile(making, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", EnvFile, err)
	}
	return os.Rename(making, path) // readers see the old file or the new one
}

// libpq are the environment variables that choose a database, see "Environment Variables" in the manual of PostgreSQL's
// libpq.
var libpq = map[string]bool{
	"PGHOST":               true,
	"PGHOSTADDR":           true,
	"PGPORT":               true,
	"PGDATABASE":           true,
	"PGUSER":               true,
	"PGPASSWORD":           true,
	"PGPASSFILE":           true,
	"PGSERVICE":            true,
	"PGSERVICEFILE":        true,
	"PGOPTIONS":            true,
	"PGSSLMODE":            true,
	"PGTARGETSESSIONATTRS": true,
}

// Environ is base with e's addresses instead of all others, without flags of this program and without the variables
// that libpq reads. A child process that gets it finds these services and no others.
func (e Env) Environ(base []string) []string {
	var env []string
	for _, v := range base {
		switch name, _, _ := strings.Cut(v, "="); {
		case name == "NATS_URL", name == "DATABASE_URL", name == "MEMCACHED_SERVERS", strings.HasPrefix(name, "KILLR_"):
		case name == "NATS_NKEY", libpq[name]:
		default:
			env = append(env, v)
		}
	}
	for _, v := range [][2]string{
		{"NATS_URL", e.NATS}, {"DATABASE_URL", e.Postgres}, {"MEMCACHED_SERVERS", strings.Join(e.Memcached, ",")},
		{"KILLR_POSTGRES_READ", strings.Join(e.ReadFrom, " ")},
	} {
		if v[1] != "" {
			env = append(env, v[0]+"="+v[1])
		}
	}
	return env
}

// Quote quotes s as one word of a POSIX shell.
func Quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// ReadEnv reads stack.env of the last start in a data directory. os.ErrNotExist: nothing was ever started there.
func ReadEnv(dir string) (Env, error) {
	data, err := os.ReadFile(filepath.Join(dir, EnvFile))
	if err != nil {
		return Env{}, err
	}
	var env Env
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok {
			continue
		}
		value = strings.ReplaceAll(strings.Trim(value, "'"), `'\''`, "'")
		switch name {
		case "NATS_URL":
			env.NATS, env.Seeds = value, SeedsIn(dir)
		case "DATABASE_URL":
			env.Postgres = value
		case "MEMCACHED_SERVERS":
			env.Memcached = strings.Split(value, ",")
		case "KILLR_EDGE":
			env.Edges = strings.Split(value, ",")
		}
	}
	return env, nil
}
