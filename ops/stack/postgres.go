package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Names inside the private cluster. Roles connect as the owner of their database, never as its
// superuser.
const (
	superuser    = "postgres"
	siteUser     = "killr"
	siteDatabase = "killr"
	// psqlUser is for a person at a terminal: it acts as siteUser, and has connections of its own.
	psqlUser = "killr_psql"
)

// Connections that roles cannot take.
const (
	superuserConnections = 3 // PostgreSQL's own default
	psqlConnections      = 2
)

// PostgresConfig says where and how a private PostgreSQL runs.
type PostgresConfig struct {
	Dir         string // its home: the cluster, its password and its log lie here; made if absent; needed
	Port        int    // on 127.0.0.1; 0: any free one
	Connections int    // of which 3 are the superuser's and 2 those of stack.env's psql; 0: 100
	Throwaway   bool   // for tests: nothing is synced to disk, a crash may lose everything
	Replicable  bool   // standbys may follow it, see StartStandby; it counts when the cluster is made
}

// Postgres is a running PostgreSQL child. Its methods may not be called concurrently with one another.
type Postgres struct {
	cfg      PostgresConfig
	programs PostgresPrograms
	cred     *syscall.Credential
	cluster  string // the data directory proper
	password string // the superuser's
	child    *Child
}

// StartPostgres starts the cluster in cfg.Dir, making it first if there is none, and returns once it answers and holds
// a database `killr` owned by user `killr`. What an earlier run left over is repaired: a pid file whose process is dead
// or is another program, a server that outlived its parent, an initdb cut short. Errors: *MissingError,
// *PortTakenError, and one that names the version when another PostgreSQL wrote the data.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	if cfg.Connections == 0 {
		cfg.Connections = 100
	}
	cred, err := unprivileged("postgres", "nobody")
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	p := &Postgres{cfg: cfg, cred: cred}
	if err := p.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	for attempt := 0; ; attempt++ { // a port found free may be taken before PostgreSQL has it
		if cfg.Port == 0 {
			if p.cfg.Port, err = freePort(); err != nil {
				return nil, fmt.Errorf("start PostgreSQL: %w", err)
			}
		}
		err = p.start(ctx)
		if taken := (*PortTakenError)(nil); errors.As(err, &taken) && cfg.Port == 0 && attempt < 4 {
			continue
		}
		break
	}
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := p.ensureSite(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start PostgreSQL: %w", err), p.Stop())
	}
	return p, nil
}

// start runs the server on a prepared cluster and waits until it takes connections.
func (p *Postgres) start(ctx context.Context) error {
	if err := settlePIDFile(ctx, p.cluster); err != nil { // first: what it ends may hold the port
		return err
	}
	if err := CheckPort("PostgreSQL", p.Addr()); err != nil {
		return err
	}
	log, err := openLog(p.logPath())
	if err != nil {
		return err
	}
	defer log.Close() // the child has its own copy
	began, err := log.Seek(0, 2)
	if err != nil {
		return err
	}
	args := []string{"-D", p.cluster}
	for _, s := range p.settings() {
		args = append(args, "-c", s)
	}
	cmd := p.command("postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	onParentDeath := syscall.SIGINT // "fast": sessions are ended and a checkpoint is written
	if p.cfg.Throwaway {
		onParentDeath = syscall.SIGQUIT // at once
	}
	c, err := StartChild(cmd, onParentDeath)
	if err != nil {
		return err
	}
	p.child = c
	if err := p.waitReady(ctx); err != nil {
		_ = p.child.stop(syscall.SIGQUIT, 5*time.Second) // the first error is the one to report
		said := logSince(p.logPath(), began)
		if strings.Contains(said, "Address already in use") || strings.Contains(said, "could not bind") {
			return &PortTakenError{What: "PostgreSQL", Addr: p.Addr(), Owner: portOwner(strconv.Itoa(p.cfg.Port))}
		}
		return fmt.Errorf("%w; its log, %s, says:\n%s", err, p.logPath(), said)
	}
	return nil
}

// settings are those of a laptop or a two-core machine that also runs everything else. They are given on the command
// line, so a cluster made by an older version of this program follows the newer one's settings.
func (p *Postgres) settings() []string {
	s := []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(p.cfg.Port),
		"unix_socket_directories=", // none: its path may be at most 107 bytes long, and data directories are not
		"max_connections=" + strconv.Itoa(p.cfg.Connections),
		"superuser_reserved_connections=" + strconv.Itoa(superuserConnections),
		"jit=off",              // compiling costs more than any query of ours takes
		"timezone=UTC",         // the cluster's clock is everybody's clock
		"random_page_cost=1.1", // solid-state disks
		"log_timezone=UTC",
		"log_line_prefix=%m [%p] ",
		"log_min_duration_statement=1000", // ms
		"logging_collector=off",           // it writes to the file it was given
	}
	if p.cfg.Replicable {
		s = append(s, "wal_level=replica", "max_wal_senders=10", "hot_standby_feedback=on")
	} else { // COPY into a table made in the same transaction skips the log
		s = append(s, "wal_level=minimal", "max_wal_senders=0")
	}
	if p.cfg.Throwaway {
		return append(s, "shared_buffers=64MB", "fsync=off", "synchronous_commit=off", "full_page_writes=off",
			"autovacuum=off", "max_wal_size=1GB", "checkpoint_timeout=1d")
	}
	return append(s, "shared_buffers=256MB", "synchronous_commit=on", "max_wal_size=2GB", "maintenance_work_mem=256MB",
		"work_mem=16MB", "effective_cache_size=1GB", "effective_io_concurrency=0", "autovacuum_naptime=15s",
		"checkpoint_completion_target=0.9")
}

// waitReady waits until the server's pid file says that it is ready; another server on the port has another file.
func (p *Postgres) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute) // replaying a full log after a kill -9 takes its time
	defer cancel()
	for {
		if f := readPIDFile(p.cluster); f.pid == p.child.PID() && f.status == "ready" {
			return nil
		}
		select {
		case <-p.child.done:
			return fmt.Errorf("postgres ended: %w", p.child.err)
		case <-ctx.Done():
			return fmt.Errorf("postgres is not ready: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// ensureSite makes the site's users and database where they are missing. It is safe to repeat.
func (p *Postgres) ensureSite(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, p.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("connect as %s: %w", superuser, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	limit := p.cfg.Connections - superuserConnections - psqlConnections
	if err := p.ensureUser(ctx, conn, siteUser, limit); err != nil {
		return err
	}
	if err := p.ensureUser(ctx, conn, psqlUser, -1); err != nil {
		return err
	}
	// A session of psqlUser begins as siteUser, who then owns what it makes.
	for _, sql := range []string{
		`grant ` + siteUser + ` to ` + psqlUser, `alter role ` + psqlUser + ` set role = '` + siteUser + `'`,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("let %s act as %s: %w", psqlUser, siteUser, err)
		}
	}
	var database bool
	const q = `select exists(select from pg_database where datname = $1)`
	if err := conn.QueryRow(ctx, q, siteDatabase).Scan(&database); err != nil {
		return fmt.Errorf("look for the site's database: %w", err)
	}
	if !database {
		if _, err := conn.Exec(ctx, `create database `+siteDatabase+` owner `+siteUser); err != nil {
			return fmt.Errorf("make database %s: %w", siteDatabase, err)
		}
	}
	return nil
}

// ensureUser makes a user who may have so many connections at once (-1: any number) and sets the password.
func (p *Postgres) ensureUser(ctx context.Context, conn *pgx.Conn, user string, connections int) error {
	var exists bool
	const q = `select exists(select from pg_roles where rolname = $1)`
	if err := conn.QueryRow(ctx, q, user).Scan(&exists); err != nil {
		return fmt.Errorf("look for user %s: %w", user, err)
	}
	verb := "alter"
	if !exists {
		verb = "create"
	}
	// A password of hexadecimal digits needs no quoting.
	sql := fmt.Sprintf("%s role %s login connection limit %d password '%s'", verb, user, connections,
		p.passwordOf(user))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s user %s: %w", verb, user, err)
	}
	return nil
}

// command runs one of PostgreSQL's programs as the unprivileged user, in the C locale: its messages are read by us.
func (p *Postgres) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.programs.Dir, program), args...)
	cmd.Dir = p.cluster
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.cred}
	return cmd
}

// Addr is host:port.
func (p *Postgres) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.cfg.Port)) }

// URL is how the site connects to its own database, as its owner.
func (p *Postgres) URL() string { return p.URLFor(siteDatabase) }

// URLFor is how the site's user connects to another database of this cluster.
func (p *Postgres) URLFor(database string) string {
	return p.url(siteUser, p.passwordOf(siteUser), database)
}

// PsqlURL is how a person's psql connects to the site's database, also when roles have all connections that they may
// have.
func (p *Postgres) PsqlURL() string { return p.url(psqlUser, p.passwordOf(psqlUser), siteDatabase) }

// AdminURL is how the superuser connects. Nothing but tests and this package should.
func (p *Postgres) AdminURL(database string) string { return p.url(superuser, p.password, database) }

func (p *Postgres) url(user, password, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(user, password),
		Host:     p.Addr(),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Major is the server's major version.
func (p *Postgres) Major() int { return p.programs.Major }

// PID is the process that started all others of the server.
func (p *Postgres) PID() int { return p.child.PID() }

// Done is closed when the child has ended.
func (p *Postgres) Done() <-chan struct{} { return p.child.done }

// Stop ends sessions, writes a checkpoint and waits for the end. Safe to call twice.
func (p *Postgres) Stop() error {
	if p.cfg.Throwaway {
		return p.child.stop(syscall.SIGQUIT, 30*time.Second)
	}
	return p.child.stop(syscall.SIGINT, time.Minute)
}

// Kill ends the server as a crash would: nothing is written, and the next start replays the log.
// It ends either way.
func (p *Postgres) Kill() { _ = p.child.stop(syscall.SIGQUIT, 10*time.Second) }

// Restart starts the cluster again on the same port, after stopping it if it still runs.
func (p *Postgres) Restart(ctx context.Context) error {
	if p.child.running() {
		if err := p.Stop(); err != nil {
			return err
		}
	}
	return p.start(ctx)
}

// Freeze suspends the server and every session's process (SIGSTOP), until Thaw.
func (p *Postgres) Freeze() error { return p.signalAll(syscall.SIGSTOP) }

// Thaw resumes a frozen server.
func (p *Postgres) Thaw() error { return p.signalAll(syscall.SIGCONT) }

// signalAll reaches the sessions too: each leads a process group of its own, so the postmaster's group is not enough.
func (p *Postgres) signalAll(sig syscall.Signal) error {
	parent := strconv.Itoa(p.child.PID())
	if err := p.child.Signal(sig); err != nil { // first, so that it starts no more sessions
		return err
	}
	out, err := exec.Command("pgrep", "-P", parent).Output()
	if err != nil {
		return fmt.Errorf("list PostgreSQL's processes: %w", err)
	}
	for _, field := range strings.Fields(string(out)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return fmt.Errorf("list PostgreSQL's processes: %w", err)
		}
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal PostgreSQL's process %d: %w", pid, err)
		}
	}
	return nil
}
