package pool

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/wire"
)

// role is an answer as a role gives it.
func role(t testing.TB, name, id string, started time.Time, figures any, endpoints ...*micro.EndpointStats) Instance {
	t.Helper()
	data, err := json.Marshal(figures)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := json.Marshal(discovery.Statistics{Data: data, Stats: micro.Stats{
		ServiceIdentity: micro.ServiceIdentity{Name: name, ID: id, Version: "1.0.0"}, Started: started,
		Endpoints: endpoints,
	}})
	if err != nil {
		t.Fatal(err)
	}
	i, ok := read(whole)
	if !ok {
		t.Fatalf("%s is no answer", whole)
	}
	return i
}

// waits is a histogram of so many waits of less than 10 ms, and so many of 10 to 100.
func waits(short, long uint64) histogram.Histogram {
	return histogram.Histogram{Upper: []float64{.01, .1}, Counts: []uint64{short, long, 0}}
}

func figures(worked float64, busy uint64, wait histogram.Histogram) discovery.RendererFigures {
	return discovery.RendererFigures{Pools: map[string]discovery.PoolFigures{
		"pages":   {Workers: 4, Worked: worked, Busy: busy, QueueWait: wait},
		"actions": {Workers: 1, Worked: 1000, Busy: 1000, QueueWait: waits(0, 1000)},
	}}
}

func TestLoadBetweenSnapshots(t *testing.T) {
	t.Parallel()
	begun := time.Unix(1_800_000_000, 0)
	from, to := Snapshot{At: begun}, Snapshot{At: begun.Add(2 * time.Second)}
	from.Instances = []Instance{
		role(t, "renderer", "a", begun.Add(-time.Hour), figures(100, 7, waits(1000, 1000))),
		role(t, "renderer", "gone", begun.Add(-time.Hour), figures(1, 0, waits(1, 1))),
	}
	to.Instances = []Instance{
		role(t, "edge", "e", begun, discovery.EdgeFigures{}),
		role(t, "renderer", "a", begun.Add(-time.Hour), figures(104, 9, waits(1090, 1005))),
		role(t, "renderer", "new", begun.Add(time.Second), figures(2, 1, waits(5, 0))),
		role(t, "renderer", "silent before", begun.Add(-time.Hour), figures(900, 900, waits(9000, 9000))),
		role(t, "renderer", "without figures", begun.Add(-time.Hour), nil),
	}
	load := Between(from, to)
	if load.Renderers != 4 || load.Known != 2 || load.Requests != 100 || load.Busy != 3 {
		t.Errorf("%+v, want 4 renderers of which 2 are known, 100 requests, 3 busy", load)
	}
	if want := 10 * time.Millisecond; load.Wait95 != want {
		t.Errorf("95%% waited for %s, want %s", load.Wait95, want)
	}
	if want := 6.0 / 16; math.Abs(load.Used-want) > 1e-9 { // of two renderers with figures, 4 workers each, for 2 s
		t.Errorf("%g of their time was used, want %g", load.Used, want)
	}
	if idle := Between(to, Snapshot{At: to.At.Add(time.Second)}); idle != (Load{}) {
		t.Errorf("nobody answers, and that is a load of %+v", idle)
	}
}

func TestUnreadableAnswers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{", "[]", `{"name":"edge"}`, `{"id":"x"}`, `{"name":1,"id":"x"}`,
	} {
		if i, ok := read([]byte(text)); ok {
			t.Errorf("%q is read as %+v", text, i)
		}
	}
	i, ok := read([]byte(`{"name":"renderer","id":"x","data":{"pools":{"pages":{"queue_wait":{"le":[1],"n":[1]}}}}}`))
	if !ok || i.Renderer == nil || i.Renderer.Pools["pages"].QueueWait.Count() != 0 {
		t.Errorf("a histogram that is none: %+v", i)
	}
	i, ok = read([]byte(`{"name":"edge","id":"x","data":{"answers":{"le":[2,1],"n":[1,1,1]}}}`))
	if !ok || i.Edge != nil {
		t.Errorf("an edge with a histogram that is none: %+v", i)
	}
	lag := .25
	data, err := json.Marshal(map[string]any{"name": wire.ServiceRenderer, "id": "x",
		"data": discovery.RendererFigures{ReplicaLag: &lag}})
	if err != nil {
		t.Fatal(err)
	}
	i, ok = read(data)
	if !ok || i.ReplicaLag == nil || *i.ReplicaLag != .25 {
		t.Errorf("the lag of the last replica, 250 ms, is not in %+v", i)
	}
}
