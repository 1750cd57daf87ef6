package renderer

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/discovery"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

func TestStatisticsOverTheBus(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	const asked = 20
	for range asked {
		st.get(t, page.User("ansel"))
	}
	st.request(t, "page.user.Ansel")
	st.get(t, page.Home())
	st.get(t, page.Home().Before(50))

	settled(t, s)
	var stats discovery.Statistics
	if err := json.Unmarshal(st.request(t, "$SRV.STATS.renderer."+s.id).Data, &stats); err != nil {
		t.Fatal(err)
	}
	var figures discovery.RendererFigures
	if err := json.Unmarshal(stats.Data, &figures); err != nil {
		t.Fatalf("%v in %s", err, stats.Data)
	}
	pages := figures.Pools["pages"]
	if n := pages.QueueWait.Count(); n != asked+2 || pages.Workers != s.cfg.PageWorkers || pages.Worked <= 0 {
		t.Errorf("the pool of pages: %+v, %d waits, want %d", pages, n, asked+2)
	}
	if stats.Name != "renderer" || stats.ID != s.id || stats.Version != "1.2.3" ||
		stats.Type != micro.StatsResponseType {
		t.Errorf("identity %+v, type %q", stats.ServiceIdentity, stats.Type)
	}
	requests, names := map[string]int{}, map[string]int{}
	for _, e := range stats.Endpoints {
		if names[e.Name]++; names[e.Name] > 1 {
			t.Errorf("%s is listed twice", e.Name)
		}
		requests[e.Name+" "+e.Subject] = e.NumRequests
		if e.QueueGroup != wire.QueueRenderer {
			t.Errorf("%s is in the queue group %q", e.Subject, e.QueueGroup)
		}
		if e.Name != "user" {
			continue
		}
		var r report
		if err := json.Unmarshal(e.Data, &r); err != nil {
			t.Fatal(err)
		}
		if r.Requests != asked+1 || e.NumErrors != 1 || r.Errors["bad_request"] != 1 || e.LastError != "bad_request" {
			t.Errorf("user: %+v, %d errors, the last %q", r, e.NumErrors, e.LastError)
		}
		if r.P50 <= 0 || r.P99 < r.P50 || r.Max < r.P99 || r.InFlight != 0 || r.Queued != 0 ||
			r.WindowRequests != asked {
			t.Errorf("user: %+v", r)
		}
		if e.AverageProcessingTime < 50*time.Microsecond || e.AverageProcessingTime > time.Second {
			t.Errorf("a page with its query takes %s on average?", e.AverageProcessingTime)
		}
	}
	for name, want := range map[string]int{"user page.user.>": asked + 1, "home page.home": 2,
		"photo page.photo.>": 0} {
		if requests[name] != want {
			t.Errorf("%s counts %d requests, want %d", name, requests[name], want)
		}
	}
}

// TestWithTheNATSCLI looks inside as README tells people to.
func TestWithTheNATSCLI(t *testing.T) {
	t.Parallel()
	cli := testenv.NATSCLI(t)
	st := newSite(t)
	s := st.start(t, nil)
	other := st.start(t, nil)
	signIn := []string{"--server", st.url, "--nkey", testenv.Seeds(t)[wire.RoleOperator]}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), cli,
			append(signIn, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("nats %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if page := run("req", "page.user.ansel", "", "--raw"); !strings.HasPrefix(page, "killr/1 200\n") ||
		!strings.Contains(page, "<!doctype html>") {
		t.Errorf("nats req page.user.ansel '' prints %.300s", page)
	}
	for _, args := range [][]string{{"micro", "ls"}, {"micro", "stats", "renderer"}, {"micro", "ping"}} {
		if out := run(args...); !strings.Contains(out, s.id) || !strings.Contains(out, other.id) {
			t.Errorf("nats %s lacks an instance:\n%s", strings.Join(args, " "), out)
		}
	}
	info := run("micro", "info", "renderer", s.id)
	for _, want := range []string{"1.2.3", "page.user.>", "picture.>", "p99_ms", "queue_wait_p99_ms", "page_workers"} {
		if !strings.Contains(info, want) {
			t.Errorf("nats micro info renderer lacks %s:\n%s", want, info)
		}
	}
	var stats []micro.Stats
	if err := json.Unmarshal([]byte(run("micro", "stats", "renderer", "--json")), &stats); err != nil {
		t.Fatal(err)
	}
	requests := 0
	for _, instance := range stats {
		for _, e := range instance.Endpoints {
			requests += e.NumRequests
		}
	}
	if len(stats) != 2 || requests != 1 {
		t.Errorf("%d instances with %d requests, want 2 with 1", len(stats), requests)
	}
}
