package edge

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/discovery"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestEdgesInTheNATSCLI: `nats micro` shows edges, with requests and errors for each kind of page.
func TestEdgesInTheNATSCLI(t *testing.T) {
	t.Parallel()
	cli := testenv.NATSCLI(t)
	s := newSite(t)
	s.renderer()
	e := s.edge(func(c *Config) { c.Version = "1.2.3" })
	other := s.edge()
	run := func(args ...string) string {
		t.Helper()
		args = append([]string{"--server", s.server.URL(), "--nkey", testenv.Seeds(t)[wire.RoleOperator]}, args...)
		out, err := exec.CommandContext(t.Context(), cli, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("nats %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	for range 3 { // by the fast path
		if a := get(t, e, "/photos/ansel"); a.status != 200 {
			t.Fatalf("status %d", a.status)
		}
	}
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() != page.KindPhoto {
			return s.standard(ref)
		}
		_ = s.nc.PublishMsg(wire.ErrorMsg(m.Reply, wire.ErrInternal))
		return nil
	})
	if a := get(t, e, "/photo/1"); a.status != 500 {
		t.Fatalf("status %d", a.status)
	}
	for _, args := range [][]string{{"micro", "ls"}, {"micro", "stats", "edge"}, {"micro", "ping"}} {
		if out := run(args...); !strings.Contains(out, e.ids.edge) || !strings.Contains(out, other.ids.edge) {
			t.Errorf("nats %s lacks an edge:\n%s", strings.Join(args, " "), out)
		}
	}
	info := run("micro", "info", "edge", e.ids.edge)
	for _, want := range []string{"1.2.3", e.Addr(), "answers browsers"} {
		if !strings.Contains(info, want) {
			t.Errorf("nats micro info edge lacks %s:\n%s", want, info)
		}
	}
	eventually(t, "the figures count all answers", func() bool {
		f, ok := e.figures().(discovery.EdgeFigures)
		return ok && f.Tiers["near"] == 2 && f.Tiers["render"] == 1 && f.Answers.Count() == 4 && f.InFlight == 0
	})
	var stats discovery.Statistics
	asked, err := s.nc.Request("$SRV.STATS.edge."+e.ids.edge, nil, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var figures discovery.EdgeFigures
	if err := errors.Join(json.Unmarshal(asked.Data, &stats), json.Unmarshal(stats.Data, &figures)); err != nil ||
		figures.Tiers["near"] != 2 || stats.ID != e.ids.edge {
		t.Errorf("%s: %v", asked.Data, err)
	}
	eventually(t, "all answers are counted", func() bool {
		var all []micro.Stats
		if err := json.Unmarshal([]byte(run("micro", "stats", "edge", "--json")), &all); err != nil {
			t.Fatal(err)
		}
		for _, instance := range all {
			if instance.ID != e.ids.edge {
				continue
			}
			got := map[string]*micro.EndpointStats{}
			for _, row := range instance.Endpoints {
				got[row.Name] = row
			}
			user, photo := got["user"], got["photo"]
			return user != nil && photo != nil && user.NumRequests == 3 && user.NumErrors == 0 &&
				user.AverageProcessingTime > 0 && photo.NumRequests == 1 && photo.NumErrors == 1 &&
				strings.HasPrefix(photo.LastError, "500: ")
		}
		return false
	})
}
