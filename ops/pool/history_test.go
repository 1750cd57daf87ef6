package pool

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/discovery"
)

// counted is an endpoint with so many requests, so many of which failed.
func counted(requests, failed int) *micro.EndpointStats {
	return &micro.EndpointStats{Name: "user", NumRequests: requests, NumErrors: failed}
}

func edgeFigures(near, rendered uint64, stale bool) discovery.EdgeFigures {
	return discovery.EdgeFigures{
		InFlight: 3, Tiers: map[string]uint64{"near": near, "render": rendered, "none": 1000}, FeedStale: stale,
		Answers: waits(near, rendered), Changes: waits(near/10, 0),
	}
}

// cell finds a figure of the first instance of a table.
func cell(t *testing.T, v View, title, head string) Cell {
	t.Helper()
	for _, table := range v.Tables {
		if table.Title != title || len(table.Rows) == 0 {
			continue
		}
		for _, c := range table.Rows[0].Cells {
			if c.Head == head {
				return c
			}
		}
	}
	t.Fatalf("no %s of %s in %+v", head, title, v)
	return Cell{}
}

func tile(t *testing.T, v View, label string) Tile {
	t.Helper()
	for _, tile := range v.Tiles {
		if tile.Label == label {
			return tile
		}
	}
	t.Fatalf("no tile %s", label)
	return Tile{}
}

// TestHistoryShowsTheLastSeconds: figures are those of the window, whatever was before.
func TestHistoryShowsTheLastSeconds(t *testing.T) {
	t.Parallel()
	begun := time.Unix(1_800_000_000, 0)
	long := begun.Add(-time.Hour)
	var h History
	for second := range 31 { // 100 answers a second, 80 of them from a cache, after an hour without one
		n := uint64(second)
		h.Add(Snapshot{At: begun.Add(time.Duration(second) * time.Second), Instances: []Instance{
			role(t, "edge", "e", long, edgeFigures(1_000_000+80*n, 5_000_000+20*n, false),
				counted(6_000_000+100*second, 500)),
			role(t, "renderer", "r", long, figures(1000+2*float64(second), 70, waits(1_000_000+99*n, n)),
				counted(1_000_000+100*second, 0)),
		}})
	}
	v := h.View()
	for _, want := range []struct{ title, head, text string }{
		{"Edges", "Answers/s", "100"}, {"Edges", "From caches", "80 %"}, {"Edges", "In flight", "3"},
		{"Edges", "Feed", "current"}, {"Edges", "Failed/s", "0"}, {"Edges", "Up", "1 h 0 min"},
		{"Renderers", "Served/s", "100"}, {"Renderers", "Busy", "50 %"}, {"Renderers", "Refused/s", "0"},
	} {
		if got := cell(t, v, want.title, want.head); got.Text != want.text || got.Alarm {
			t.Errorf("%s of %s: %+v, want %q", want.head, want.title, got, want.text)
		}
	}
	if got := tile(t, v, "From caches"); got.Value != "80" || !strings.Contains(got.Note, "rendered\u00a020") {
		t.Errorf("%+v", got)
	}
	if got := tile(t, v, "Wait for a renderer"); got.Alarm || got.Value != "9.6" {
		t.Errorf("%+v", got)
	}
	if len(h.shots) > 12 || len(tile(t, v, "Answers").Line) != 31 {
		t.Errorf("%d snapshots are kept, a line of %d", len(h.shots), len(tile(t, v, "Answers").Line))
	}
	if v.Deploy.UnderWay || !strings.Contains(v.Deploy.Text, "1.0.0 on 2 roles.") {
		t.Errorf("%+v", v.Deploy)
	}
}

// TestHistoryShowsWhatIsWrong: refusals, waits, an edge without news, a role that is silent, two versions.
func TestHistoryShowsWhatIsWrong(t *testing.T) {
	t.Parallel()
	begun := time.Unix(1_800_000_000, 0)
	long := begun.Add(-time.Hour)
	var h History
	add := func(second int, more ...Instance) {
		n := uint64(second)
		h.Add(Snapshot{At: begun.Add(time.Duration(second) * time.Second), Instances: append([]Instance{
			role(t, "edge", "e", long, edgeFigures(80*n, 20*n, true), counted(100*second, 10*second)),
			role(t, "renderer", "r", long, figures(0, 3*n, waits(n, 100*n)), counted(100*second, second)),
		}, more...)})
	}
	other := role(t, "cachefill", "c", long, nil)
	other.Version, other.ReplicaLag = "2.0.0", new(float64)
	*other.ReplicaLag = 1.5
	add(0, other)
	add(1, other)
	for second := 2; second < 5; second++ {
		add(second)
	}
	v := h.View()
	if !v.Deploy.UnderWay || !strings.Contains(v.Deploy.Text, "1.0.0 on 2 roles, 2.0.0 on 1 role.") {
		t.Errorf("%+v", v.Deploy)
	}
	for _, want := range []struct{ title, head string }{
		{"Edges", "Feed"}, {"Edges", "Failed/s"}, {"Renderers", "Wait p95"},
		{"Renderers", "Refused/s"}, {"Cachefills", "Up"},
	} {
		if got := cell(t, v, want.title, want.head); !got.Alarm {
			t.Errorf("%s of %s is no alarm: %+v", want.head, want.title, got)
		}
	}
	for _, label := range []string{
		"Answered within", "Wait for a renderer", "Changes known in", "Replica behind by",
	} {
		if !tile(t, v, label).Alarm {
			t.Errorf("%s is no alarm: %+v", label, tile(t, v, label))
		}
	}
	if got := cell(t, v, "Cachefills", "Up").Text; got != "silent for 3 s" {
		t.Errorf("a cachefill that answers no more: %q", got)
	}
	for second := 5; second < 14; second++ {
		add(second)
	}
	if v := h.View(); len(v.Tables[2].Rows) != 0 || v.Deploy.UnderWay {
		t.Errorf("who has been silent for 10 s is still there: %+v", v.Tables[2])
	}
}

// TestTextIsHarmless: what comes from the bus cannot give orders to a terminal.
func TestTextIsHarmless(t *testing.T) {
	t.Parallel()
	evil := role(t, "renderer", "r", time.Unix(1_800_000_000, 0), figures(0, 0, waits(1, 0)))
	evil.Version = "1.0\x1b[2J\x9b0m\n"
	var h History
	h.Add(Snapshot{At: time.Unix(1_800_000_001, 0), Instances: []Instance{evil}})
	var out bytes.Buffer
	if err := h.View().Write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Renderers", "1.0?[2J?0m?", "No edge answers"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.ContainsAny(out.String(), "\x1b\u009b") {
		t.Errorf("an order to the terminal in %q", out.String())
	}
}

// TestDevelopment: programs that are no release differ from each other without a deployment, and nothing is claimed of
// caches that were asked for no page.
func TestDevelopment(t *testing.T) {
	t.Parallel()
	a := role(t, "edge", "a", time.Unix(1_800_000_000, 0), nil)
	b := role(t, "renderer", "b", time.Unix(1_800_000_000, 0), figures(0, 0, waits(1, 0)))
	a.Version, b.Version = "0.0.0-devel+c7d60d0b", "0.0.0-devel+2d4d9135"
	var h History
	h.Add(Snapshot{At: time.Unix(1_800_000_001, 0), Instances: []Instance{a, b}})
	v := h.View()
	if v.Deploy.UnderWay || !strings.HasPrefix(v.Deploy.Text, "Builds for development: 0.0.0-devel+2d4d9135 on 1") {
		t.Errorf("%+v", v.Deploy)
	}
	if got := tile(t, v, "From caches"); got.Value != "–" || got.Unit != "" || got.Note != "no pages" {
		t.Errorf("without pages: %+v", got)
	}
	if got := cell(t, v, "Edges", "From caches").Text; got != "–" {
		t.Errorf("an edge without pages: %q", got)
	}
}
