package deploy

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/wire"
)

// did is what an instance says: requests, those that failed, and how many took less than 10 ms, 100 ms, and longer, in
// threes.
func did(t *testing.T, role wire.Role, requests, failed int, times ...uint64) discovery.Statistics {
	t.Helper()
	for i := range times {
		times[i] *= 3
	}
	data, err := json.Marshal(map[string]any{"answers": histogram.Histogram{Upper: []float64{.01, .1}, Counts: times}})
	if err != nil {
		t.Fatal(err)
	}
	return discovery.Statistics{Data: data, Stats: micro.Stats{
		ServiceIdentity: micro.ServiceIdentity{Name: string(role)},
		Endpoints: []*micro.EndpointStats{
			{Name: "user", NumRequests: requests, NumErrors: failed, LastError: "busy"},
		},
	}}
}

// TestCompare: only what came between two questions counts, and only instances of the role that are to be replaced.
func TestCompare(t *testing.T) {
	t.Parallel()
	own, old, other, edge := process{"m1", "9"}, process{"m1", "1"}, process{"m2", "9"}, process{"m1", "5"}
	isOld := func(p process) bool { return p == old || p == edge }
	before := figures{
		own: did(t, wire.RoleRenderer, 10, 10, 0, 0, 100), old: did(t, wire.RoleRenderer, 900, 900, 0, 0, 900),
		other: did(t, wire.RoleRenderer, 0, 0, 0, 0, 0), edge: did(t, wire.RoleEdge, 0, 0, 0, 0, 0),
	}
	for name, c := range map[string]struct {
		own, old discovery.Statistics
		want     string // "": not worse
	}{
		"the same": {
			did(t, wire.RoleRenderer, 110, 10, 100, 0, 100), did(t, wire.RoleRenderer, 1000, 900, 100, 0, 900), ""},
		"failures": {
			did(t, wire.RoleRenderer, 110, 20, 100, 0, 100), did(t, wire.RoleRenderer, 1000, 900, 100, 0, 900),
			"it failed 10 of 100 requests, and those of before 0 of 100: user: busy"},
		"as many failures": {
			did(t, wire.RoleRenderer, 110, 20, 100, 0, 100), did(t, wire.RoleRenderer, 1000, 910, 100, 0, 900), ""},
		"two of ten": {
			did(t, wire.RoleRenderer, 20, 12, 10, 0, 100), did(t, wire.RoleRenderer, 1000, 900, 100, 0, 900), ""},
		"slower": {
			did(t, wire.RoleRenderer, 110, 10, 50, 50, 100), did(t, wire.RoleRenderer, 1000, 900, 100, 0, 900),
			"its p99 is 98ms, and that of those before 10ms"},
		"slow as the old ones": {
			did(t, wire.RoleRenderer, 110, 10, 50, 50, 100), did(t, wire.RoleRenderer, 1000, 900, 50, 50, 900), ""},
		"a slow one of few": {
			did(t, wire.RoleRenderer, 20, 10, 5, 5, 100), did(t, wire.RoleRenderer, 1000, 900, 100, 0, 900), ""},
		"nothing to compare with": {
			did(t, wire.RoleRenderer, 110, 10, 50, 50, 100), did(t, wire.RoleRenderer, 900, 900, 0, 0, 900), ""},
	} {
		after := figures{
			own: c.own, old: c.old, other: did(t, wire.RoleRenderer, 1000, 1000, 0, 0, 1000),
			edge: did(t, wire.RoleEdge, 1000, 1000, 0, 0, 1000), {"m3", "7"}: did(t, wire.RoleRenderer, 1, 1, 0, 0, 1),
		}
		failed, slow := compare(wire.RoleRenderer, own, before, after, isOld)
		got := ""
		for _, err := range []error{failed, slow} {
			if err != nil {
				got += err.Error()
			}
		}
		if got != c.want && !(c.want != "" && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
