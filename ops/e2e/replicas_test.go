package e2e

import (
	"testing"

	"flickrkillr/ops/lab/mutant"
	"flickrkillr/ops/testenv"
)

// TestAuditOfReplicas: renderers read a replica that lags behind the primary, so far that it may be used at some times
// only, while the database crashes and the relay is held back; and no visitor sees anything false.
func TestAuditOfReplicas(t *testing.T) {
	t.Parallel()
	r, status := audited(
		t, testenv.Program(t), "--postgres-replicas", "1", "--postgres-lag", "600ms", "--writes", "150",
		"--observations", "1000", "--view-rate", "100", "--fault", "hold the relay back", "--fault", "crash PostgreSQL",
		"--fault-every", "1s", bound,
	)
	for _, v := range r.First {
		t.Error(v)
	}
	if status != 0 || r.Violations != 0 || len(r.Faults) == 0 {
		t.Errorf("exit status %d, %d violations, faults %v", status, r.Violations, r.Faults)
	}
}

// replicaMistakes are those of a site that reads replicas.
func replicaMistakes() []mistake {
	return []mistake{
		{
			name: "a page of a replica says that it is from now",
			edits: func(chosen string) []mutant.Edit {
				// As if readAt were now(), for all but pictures.
				const pages, photos, watch = "	s.ReadAt = head.readAt\n", "		page.ReadAt = readAt\n",
					"	if err = s.pool.QueryRow(ctx, \"SELECT \"+readAt).Scan(&at); err != nil {\n"
				return []mutant.Edit{
					mutant.Replace("renderer/store/store.go", pages, pages+"	if "+chosen+
						" {\n		s.ReadAt = time.Now()\n	}\n"),
					mutant.Replace("renderer/store/photo.go", photos, photos+"		if "+chosen+
						" {\n			page.ReadAt = time.Now()\n		}\n"),
					mutant.Replace("renderer/store/heartbeat.go", watch, "	if "+chosen+
						" {\n		return time.Now(), nil\n	}\n"+watch),
				}
			},
			rules: []string{"fresh", "gone"},
			flags: []string{"--postgres-replicas", "1", "--postgres-lag", "5s", "--fault", "hold the relay back",
				"--fault-every", "1s", bound, "--owners", "300"},
		}, {
			name: "an edge takes any page of a replica",
			edits: func(chosen string) []mutant.Edit {
				const unknown, told = `if got.source == "" {`, "	w.newer.told.Set(msg.Header)\n"
				return []mutant.Edit{
					mutant.Replace("edge/resolve.go", unknown, `if `+chosen+` || got.source == "" {`),
					mutant.Replace("edge/renderers.go", told, "	if !"+chosen+" {\n"+told+"	}\n"),
				}
			},
			rules: []string{"own", "back", "gone"},
			flags: []string{"--postgres-replicas", "1", "--postgres-lag", "500ms", "--no-faults", bound},
		},
	}
}
