package cli

import (
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
)

// TestMigrateSeveralHosts: of the hosts that an address names the primary is migrated, also if a replica comes first.
func TestMigrateSeveralHosts(t *testing.T) {
	t.Parallel()
	primary := testenv.Primary(t)
	standby := testenv.Replica(t, primary)
	both := strings.Replace(primary.AdminURL("postgres"), primary.Addr(), standby.Addr()+","+primary.Addr(), 1)
	c := migrateCommand{databaseFlag{Postgres: both}}
	if err := c.Run(&session{ctx: t.Context(), data: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
}
