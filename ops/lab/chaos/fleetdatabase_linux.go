package chaos

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"flickrkillr/ops/fleet"
	"flickrkillr/schema/wire"
)

// ownPictures gives the pictures, which were painted by another user, to that of renderers. A deployment would make it
// as well. All machines give it the same number, as they begin with the same users.
func (f *fleetSite) ownPictures(ctx context.Context) error {
	const makeUser = `getent passwd killr >/dev/null || useradd --system --user-group --home-dir /var/lib/killr \
		--no-create-home --shell /usr/sbin/nologin killr`
	for _, m := range f.machines.Machines {
		if _, err := m.Run(ctx, makeUser); err != nil {
			return err
		}
	}
	_, err := f.machines.Machines[0].Run(ctx, "chown -R killr: "+fleet.SharedDir)
	return err
}

// databaseURL is the address of the machines' database, as renderers have it.
func (f *fleetSite) databaseURL(ctx context.Context) (string, error) {
	url, err := f.hosts[wire.RoleRenderer][0].Run(ctx, "cat /etc/killr/credentials/renderer/postgres")
	return strings.TrimSpace(url), err
}

// fill gives the machines' database the rows that that of the stack has.
func (cfg *Config) fill(ctx context.Context, on *scene) error {
	pool, err := on.openPool(ctx, on.at.Postgres)
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := cfg.Fill(ctx, pool); err != nil {
		return fmt.Errorf("fill the machines' database: %w", err)
	}
	return nil
}

// What killr status says of PostgreSQL where nothing is missing.
var (
	voterRuns   = regexp.MustCompile(`killr-etcd\.service +active `)
	primaryRuns = regexp.MustCompile(`killr-postgres\.service +active .* primary, running`)
	inStep      = regexp.MustCompile(`killr-postgres\.service +active .* replica with all acknowledged changes, ` +
		`(streaming|running), `)
)

// databaseWhole says what is missing of PostgreSQL, from what killr status prints: voters, the primary, or replicas
// that have all acknowledged changes.
func databaseWhole(status string, voters, servers int) error {
	count := func(what *regexp.Regexp) int { return len(what.FindAllString(status, -1)) }
	switch {
	case count(voterRuns) != voters:
		return fmt.Errorf("%d of %d voters of etcd run", count(voterRuns), voters)
	case count(primaryRuns) != 1:
		return errors.New("PostgreSQL has no primary")
	case count(inStep) != servers-1:
		return fmt.Errorf("%d of %d replicas of PostgreSQL are in step", count(inStep), servers-1)
	}
	return nil
}
