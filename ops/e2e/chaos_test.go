package e2e

import (
	"testing"

	"flickrkillr/ops/lab/chaos"
	"flickrkillr/ops/testenv"
)

// runChaos runs `killr chaos` and returns its result and exit status. It is interrupted when its log contains a text.
func runChaos(t *testing.T, until string, args ...string) (*chaos.Result, int) {
	t.Helper()
	var result chaos.Result
	args = append([]string{"chaos", "--json", "--rate", "100"}, args...)
	status := runInstrument(t, &result, nil, until, testenv.Program(t), args...)
	return &result, status
}

// badAnswers are the verdicts about bad answers of an outcome: latencies depend on what else the machine does.
func badAnswers(o *chaos.Outcome) (missed []chaos.Check) {
	for _, c := range o.Checks {
		if !c.Met && (c.What == chaos.CheckBad || c.What == chaos.CheckFaults) {
			missed = append(missed, c)
		}
	}
	return missed
}

// TestChaos: no visitor gets a bad answer in rows of the catalogue that are run for some seconds each.
func TestChaos(t *testing.T) {
	t.Parallel()
	rows := []string{
		"a renderer is killed every 2 s", "one of four renderers is frozen for 8 s", "NATS is gone for 1 s",
		"memcached is frozen for 10 s",
	}
	args := []string{"--duration", "4s"}
	for _, name := range rows {
		args = append(args, "--row", name)
	}
	res, _ := runChaos(t, "", args...)
	for _, o := range res.Rows {
		for _, c := range badAnswers(&o) {
			t.Errorf("%s: %s: %s, target %s", o.Row, c.What, c.Seen, c.Target)
		}
		for _, s := range o.Loads {
			for _, f := range s.Kinds {
				t.Errorf("%s: %d %s, such as %s", o.Row, f.Count, f.Kind, f.Example)
			}
		}
		if o.Err != "" || len(o.Loads) != 1 || o.Loads[0].Requests == 0 {
			t.Errorf("%s: %q, %d loads", o.Row, o.Err, len(o.Loads))
		}
	}
	if len(res.Rows) != len(rows) {
		t.Errorf("%d rows, want %d", len(res.Rows), len(rows))
	}
}

// TestChaosFindsMistakes proves that a row can be missed: on a site without the mechanism visitors get bad answers.
// Interrupted in the next row, the command reports what it has seen, and leaves nothing behind.
func TestChaosFindsMistakes(t *testing.T) {
	t.Parallel()
	res, status := runChaos(t, "number=2", "--duration", "4s", "--control",
		"--row", "all cachefills are gone", "--row", "NATS is gone for 30 s")
	if !res.Interrupted || len(res.Rows) < 2 || res.Rows[1].Without == "" {
		t.Fatalf("want a row, its control, and an interruption: %+v", res)
	}
	if good := res.Good(); good != (status == 0) {
		t.Errorf("exit status %d, and all targets met: %v", status, good)
	}
	if missed := badAnswers(&res.Rows[0]); len(missed) > 0 {
		t.Errorf("the row: %+v", missed)
	}
	if c := &res.Rows[1]; c.Met || c.Err != "" || len(badAnswers(c)) == 0 {
		t.Errorf("the control misses nothing: %+v", c.Checks)
	}
}
