package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// StartStandby copies a running primary, whose PostgresConfig says Replicable, into dir, and starts a standby there
// that follows it, on any free port. It returns once the standby answers queries, which it does by the primary's users
// and passwords.
func StartStandby(ctx context.Context, primary *Postgres, dir string) (*Postgres, error) {
	cfg := primary.cfg
	cfg.Dir = dir
	p := &Postgres{cfg: cfg, programs: primary.programs, cred: primary.cred, password: primary.password}
	err := p.copyFrom(ctx, primary)
	for attempt := 0; err == nil; attempt++ { // a port found free may be taken before PostgreSQL has it
		if p.cfg.Port, err = freePort(); err != nil {
			break
		}
		err = p.start(ctx)
		if taken := (*PortTakenError)(nil); !errors.As(err, &taken) || attempt == 4 {
			break
		}
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("start a standby: %w", err)
	}
	return p, nil
}

// copyFrom makes the cluster, a copy of the primary's that follows it once it is started.
func (p *Postgres) copyFrom(ctx context.Context, primary *Postgres) (err error) {
	if err := os.MkdirAll(p.cfg.Dir, 0o755); err != nil {
		return err
	}
	if p.cfg.Dir, err = filepath.EvalSymlinks(p.cfg.Dir); err != nil {
		return err
	}
	if p.cluster, err = p.clusterPath(); err != nil {
		return err
	}
	if err := os.Mkdir(p.cluster, 0o700); err != nil {
		return err
	}
	if err := give(p.cluster, p.cred); err != nil {
		return err
	}
	if err := os.WriteFile(p.passwordPath(), []byte(p.password+"\n"), 0o600); err != nil {
		return err
	}
	host, port, _ := strings.Cut(primary.Addr(), ":")
	source := fmt.Sprintf("host=%s port=%s user=%s password=%s sslmode=disable application_name=standby", host, port,
		superuser, p.password)
	args := []string{"-D", p.cluster, "-X", "stream", "-c", "fast", "--write-recovery-conf", "-d", source}
	if p.cfg.Throwaway {
		args = append(args, "--no-sync")
	}
	if out, err := runToEnd(ctx, p.command("pg_basebackup", args...)); err != nil {
		return fmt.Errorf("pg_basebackup: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Lag makes a standby replay each transaction so long after its commit; 0: at once.
func (p *Postgres) Lag(ctx context.Context, by time.Duration) error {
	return p.admin(ctx, "alter system set recovery_min_apply_delay = "+strconv.FormatInt(by.Milliseconds(), 10),
		"select pg_reload_conf()")
}

// Promote makes a standby the primary, and returns once it takes writes.
func (p *Postgres) Promote(ctx context.Context) error {
	return p.admin(ctx, "select pg_promote(true, 60)")
}

// WaitForStandbys makes commits wait until so many standbys have them on their disks; 0: none.
func (p *Postgres) WaitForStandbys(ctx context.Context, n int) error {
	names := "''"
	if n > 0 {
		names = fmt.Sprintf("'ANY %d (*)'", n)
	}
	return p.admin(ctx, "alter system set synchronous_standby_names = "+names, "select pg_reload_conf()")
}

// admin runs statements as the superuser.
func (p *Postgres) admin(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, p.AdminURL("postgres"))
	if err != nil {
		return fmt.Errorf("connect as %s: %w", superuser, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// Pause makes a standby replay nothing more, until Resume.
func (p *Postgres) Pause(ctx context.Context) error {
	return p.admin(ctx, "select pg_wal_replay_pause()")
}

// Resume makes a standby that was paused go on.
func (p *Postgres) Resume(ctx context.Context) error {
	return p.admin(ctx, "select pg_wal_replay_resume()")
}
