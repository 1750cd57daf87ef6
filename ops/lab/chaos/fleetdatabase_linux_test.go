package chaos

import (
	"strings"
	"testing"
)

// nothingMissing is what killr status prints of three machines, of which nothing is missing.
const nothingMissing = `m1: release 0123456789abcdef, configuration 0123456789ab
  killr-etcd.service           active     
  killr-postgres.service       active       primary, running
  killr-renderer@1.service     active     0123456789abcdef  version 1.0.0, 12 requests, 0 failed
m2: release 0123456789abcdef, configuration 0123456789ab
  killr-etcd.service           active     
  killr-postgres.service       active       replica with all acknowledged changes, streaming, 0 MB behind
m3: release 0123456789abcdef, configuration 0123456789ab
  killr-etcd.service           active     
`

// TestDatabaseWhole: a fault follows the one before when PostgreSQL can bear it.
func TestDatabaseWhole(t *testing.T) {
	t.Parallel()
	const synchronous, asynchronous = "replica with all acknowledged changes,", "replica,"
	for name, c := range map[string]struct {
		old, new string
		lacks    string // "": nothing
	}{
		"all is there":      {"", "", ""},
		"a voter begins":    {"etcd.service           active  ", "etcd.service           activating", "voters"},
		"no primary":        {"primary, running", "replica, running, 0 MB behind", "primary"},
		"it starts":         {"primary, running", "primary, starting", "primary"},
		"not in step":       {synchronous, asynchronous, "replicas"},
		"it copies":         {"streaming", "creating replica", "replicas"},
		"it says nothing":   {"active       primary, running", "active     ", "primary"},
		"its unit is ended": {"active       replica", "failed       replica", "replicas"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := databaseWhole(strings.Replace(nothingMissing, c.old, c.new, 1), 3, 2)
			if (err == nil) != (c.lacks == "") || err != nil && !strings.Contains(err.Error(), c.lacks) {
				t.Errorf("%v, want %q", err, c.lacks)
			}
		})
	}
}
