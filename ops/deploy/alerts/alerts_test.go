package alerts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"flickrkillr/ops/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// healthy are the series of a site in which nothing is wrong, as promtool writes them: at first, then by how much a
// sample is larger than the one before.
var healthy = map[string]string{
	`up{job="killr", instance="a"}`:                              "1+0",
	`killr_build_info{version="1", revision="x"}`:                "1+0",
	`killr_ready{instance="edge-1"}`:                             "1+0",
	`killr_edge_requests_in_flight{instance="edge-1"}`:           "2+0",
	`killr_edge_bus_connected{instance="edge-1"}`:                "1+0",
	`killr_renderer_bus_connected{instance="renderer-1"}`:        "1+0",
	`killr_cachefill_bus_connected{instance="cachefill"}`:        "1+0",
	`killr_edge_bus_reconnects_total{instance="edge-1"}`:         "1+0",
	`killr_renderer_bus_reconnects_total{instance="renderer-1"}`: "1+0",
	`killr_cachefill_bus_reconnects_total{instance="cachefill"}`: "1+0",
	`killr_edge_bus_refusals_total`:                              "3+0",
	`killr_renderer_bus_refusals_total`:                          "3+0",
	`killr_cachefill_bus_refusals_total`:                         "3+0",
	`killr_edge_feed_stale{instance="edge-1"}`:                   "0+0",
	`killr_relay_active{instance="renderer-1"}`:                  "1+0",
	`killr_relay_lag_seconds{instance="renderer-1"}`:             "0.01+0",
	`killr_relay_stalled{instance="renderer-1"}`:                 "0+0",
	`killr_edge_change_seconds_bucket{le="1"}`:                   "0+10",
	`killr_edge_change_seconds_bucket{le="2"}`:                   "0+10",
	`killr_edge_change_seconds_bucket{le="+Inf"}`:                "0+10",
	`killr_edge_answers_total{tier="stale"}`:                     "5+0",

	`killr_renderer_requests_total{kind="user", code="ok"}`:              "0+100",
	`killr_renderer_requests_total{kind="user", code="unavailable"}`:     "7+0",
	`killr_renderer_requests_total{kind="image", code="unavailable"}`:    "7+0",
	`killr_renderer_requests_total{kind="own-edit", code="full"}`:        "7+0",
	`killr_renderer_requests_total{kind="user", code="busy"}`:            "7+0",
	`killr_renderer_queue_wait_seconds_bucket{pool="pages", le="0.02"}`:  "0+100",
	`killr_renderer_queue_wait_seconds_bucket{pool="pages", le="0.1"}`:   "0+100",
	`killr_renderer_queue_wait_seconds_bucket{pool="pages", le="+Inf"}`:  "0+100",
	`killr_renderer_panics_total{instance="renderer-1"}`:                 "0+0",
	`killr_edge_memcached_lookups_total{server="m", result="hit"}`:       "0+100",
	`killr_edge_memcached_lookups_total{server="m", result="slow"}`:      "0+1",
	`killr_edge_answers_by_status_total{status="200"}`:                   "0+1000",
	`killr_edge_answers_by_status_total{status="503"}`:                   "0+1",
	`killr_edge_certificate_expiry_timestamp_seconds{instance="edge-1"}`: "2592000+0", // from the epoch on
	`killr_renderer_replica_lag_seconds{replica="r"}`:                    "0.1+0",
	`killr_edge_clock_offset_seconds{instance="edge-1"}`:                 "0.2+0",
}

// gone is a series that ends.
const gone = "_"

// faults are what may happen to a site, as series from then on, and the alerts that are raised.
var faults = map[string]struct {
	series map[string]string
	raises []string
	within time.Duration // 0: 15 s
}{
	"a machine dies": {
		series: map[string]string{`up{job="killr", instance="a"}`: "0+0"}, raises: []string{"KillrDown"},
	},
	"a role cannot serve": {
		series: map[string]string{`killr_ready{instance="edge-1"}`: "0+0"}, raises: []string{"KillrNotReady"},
	},
	"the last edge goes": {
		series: map[string]string{`killr_edge_requests_in_flight{instance="edge-1"}`: gone},
		raises: []string{"KillrNoEdge"},
	},
	"the last renderer goes": {
		series: map[string]string{`killr_renderer_bus_connected{instance="renderer-1"}`: gone},
		raises: []string{"KillrNoRenderer"},
	},
	"the last cachefill goes": {
		series: map[string]string{`killr_cachefill_bus_connected{instance="cachefill"}`: gone},
		raises: []string{"KillrNoCachefill"},
	},
	"a deployment is left undone": {
		series: map[string]string{`killr_build_info{version="2", revision="y"}`: "1+0"},
		raises: []string{"KillrVersionsDiffer"}, within: 31 * time.Minute,
	},
	"a server of NATS dies": {
		series: map[string]string{
			`killr_edge_bus_reconnects_total{instance="edge-1"}`:         "2+0",
			`killr_cachefill_bus_reconnects_total{instance="cachefill"}`: gone,
		}, raises: []string{"KillrBusServerLost"},
	},
	"all of NATS dies": {
		series: map[string]string{
			`killr_edge_bus_connected{instance="edge-1"}`: "0+0", `killr_edge_feed_stale{instance="edge-1"}`: "1+0",
		}, raises: []string{"KillrBusAway", "KillrFeedStale"},
	},
	"an old configuration of NATS": {
		series: map[string]string{`killr_renderer_bus_refusals_total`: "4+1"}, raises: []string{"KillrBusRefuses"},
	},
	"no renderer relays": {
		series: map[string]string{`killr_relay_active{instance="renderer-1"}`: "0+0"}, raises: []string{"KillrNoRelay"},
	},
	"the relay is late": {
		series: map[string]string{`killr_relay_lag_seconds{instance="renderer-1"}`: "4+1"},
		raises: []string{"KillrRelayLate"},
	},
	"the disk of NATS is full": {
		series: map[string]string{`killr_relay_stalled{instance="renderer-1"}`: "1+0"},
		raises: []string{"KillrStreamFull"},
	},
	"edges hear late": {
		series: map[string]string{`killr_edge_change_seconds_bucket{le="1"}`: "120+0"},
		raises: []string{"KillrChangesLate"}, within: 2 * time.Minute,
	},
	"stale pages": {
		series: map[string]string{`killr_edge_answers_total{tier="stale"}`: "5+3"}, raises: []string{"KillrStalePages"},
	},
	"PostgreSQL dies": {
		series: map[string]string{`killr_renderer_requests_total{kind="user", code="unavailable"}`: "9+5"},
		raises: []string{"KillrDatabaseAway"},
	},
	"a replica is late": {
		series: map[string]string{`killr_renderer_replica_lag_seconds{replica="r"}`: "2+5"},
		raises: []string{"KillrReplicaBehind"},
	},
	"the store of pictures dies": {
		series: map[string]string{`killr_renderer_requests_total{kind="image", code="unavailable"}`: "9+5"},
		raises: []string{"KillrPicturesAway"},
	},
	"a disk is full": {
		series: map[string]string{`killr_renderer_requests_total{kind="own-edit", code="full"}`: "9+5"},
		raises: []string{"KillrStoreFull"},
	},
	"memcached dies": {
		series: map[string]string{`killr_edge_memcached_lookups_total{server="m", result="slow"}`: "40+30"},
		raises: []string{"KillrMemcachedAway"},
	},
	"too few renderers": {
		series: map[string]string{`killr_renderer_queue_wait_seconds_bucket{pool="pages", le="0.02"}`: "1200+10"},
		raises: []string{"KillrWaits"}, within: time.Minute,
	},
	"far too few renderers": {
		series: map[string]string{`killr_renderer_requests_total{kind="user", code="busy"}`: "9+5"},
		raises: []string{"KillrBusy"},
	},
	"answers are errors": {
		series: map[string]string{`killr_edge_answers_by_status_total{status="503"}`: "60+50"},
		raises: []string{"KillrFails"},
	},
	"a panic": {
		series: map[string]string{`killr_renderer_panics_total{instance="renderer-1"}`: "1+0"},
		raises: []string{"KillrPanics"},
	},
	"a certificate expires": {
		series: map[string]string{`killr_edge_certificate_expiry_timestamp_seconds{instance="edge-1"}`: "86400+0"},
		raises: []string{"KillrCertificateExpires"},
	},
	"a clock is wrong": {
		series: map[string]string{`killr_edge_clock_offset_seconds{instance="edge-1"}`: "-3+0"},
		raises: []string{"KillrClockOff"}, within: 2 * time.Minute,
	},
	"nothing": {},
}

// happens is when a fault happens, in samples of 5 s; and how long the series are, which no test outlives.
const (
	happens = 12
	ends    = 400
	apart   = 5 * time.Second
)

// TestEachFaultRaisesItsAlert has promtool evaluate the rules on the series of each fault.
func TestEachFaultRaisesItsAlert(t *testing.T) {
	t.Parallel()
	rules, err := filepath.Abs("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "rule_files: [%q]\nevaluation_interval: %s\ntests:\n", rules, apart)
	raised := map[string]bool{}
	for _, name := range sorted(faults) {
		f := faults[name]
		fmt.Fprintf(&b, "- name: %q\n  interval: %s\n  input_series:\n", name, apart)
		all := map[string]bool{}
		for series := range healthy {
			all[series] = true
		}
		for series := range f.series {
			all[series] = true
		}
		for _, series := range sorted(all) {
			before, ok := healthy[series]
			values := fmt.Sprintf("_x%d", happens)
			if ok {
				values = fmt.Sprintf("%sx%d", before, happens-1)
			}
			switch after, broken := f.series[series]; {
			case !broken:
				values = fmt.Sprintf("%sx%d", before, ends)
			case after == gone:
				values += " stale"
			default:
				values += fmt.Sprintf(" %sx%d", after, ends)
			}
			fmt.Fprintf(&b, "  - series: '%s'\n    values: '%s'\n", series, values)
		}
		within := f.within
		if within == 0 {
			within = 15 * time.Second
		}
		b.WriteString("  promql_expr_test:\n")
		expect(&b, (happens-1)*apart, nil)
		expect(&b, happens*apart+within, f.raises)
		for _, alert := range f.raises {
			raised[alert] = true
		}
	}
	file := filepath.Join(t.TempDir(), "faults.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"check", "rules", rules}, {"test", "rules", file}} {
		out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
		if err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, alert := range alertNames(t) {
		if !raised[alert] {
			t.Errorf("no fault raises %s", alert)
		}
	}
}

// expect has promtool find these alerts at a time, and no others.
func expect(b *strings.Builder, at time.Duration, alerts []string) {
	fmt.Fprintf(b, "  - expr: group by (alertname) (ALERTS{alertstate=\"firing\"})\n    eval_time: %s\n", at)
	b.WriteString("    exp_samples:\n")
	for _, alert := range alerts {
		fmt.Fprintf(b, "    - {labels: '{alertname=\"%s\"}', value: 1}\n", alert)
	}
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var alertName = regexp.MustCompile(`alert: (\w+)`)

func alertNames(t *testing.T) (names []string) {
	t.Helper()
	for _, m := range alertName.FindAllStringSubmatch(read(t, "alerts.yml"), -1) {
		names = append(names, m[1])
	}
	if len(names) == 0 {
		t.Fatal("alerts.yml has no alert")
	}
	return names
}

// TestEachAlertIsExplained: the runbook has a line for each alert.
func TestEachAlertIsExplained(t *testing.T) {
	t.Parallel()
	runbook := read(t, "../README.md")
	for _, alert := range alertNames(t) {
		if !strings.Contains(runbook, "| `"+alert+"` |") {
			t.Errorf("ops/deploy/README.md does not say what %s means", alert)
		}
	}
}
