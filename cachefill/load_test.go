package cachefill

import (
	"encoding/json"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/wire"
)

// TestPaceFollowsTheSteadyLoad: a replay doubles what renderers have to do and no more, and never asks for more than is
// allowed.
func TestPaceFollowsTheSteadyLoad(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		perSecond int
		want      float64
	}{{5, replayLow}, {60, 60}, {5000, 100}} {
		l, now := &rendererLoad{}, time.Now()
		if got := l.pace(100); got != 100 {
			t.Errorf("nothing is known, and the pace is %v", got)
		}
		for i := range 10 {
			l.sample(1000+i*c.perSecond, now.Add(time.Duration(i)*time.Second))
		}
		if got := float64(l.pace(100)); got < c.want-.5 || got > c.want+.5 {
			t.Errorf("%d pages a second, and the pace is %v, want %v", c.perSecond, got, c.want)
		}
		before := l.pace(100)
		l.sample(3, now.Add(time.Hour)) // a renderer has left, and its count with it
		if got := l.pace(100); got != before {
			t.Errorf("the pace went from %v to %v because a renderer left", before, got)
		}
	}
}

func TestLoadAddsUpRenderers(t *testing.T) {
	t.Parallel()
	url := testenv.NATS(t)
	l := &rendererLoad{nc: testenv.ConnectAs(t, url, wire.RoleCachefill)}
	if made, ok := l.measure(t.Context()); ok {
		t.Errorf("%d pages, and there is no renderer", made)
	}
	var asked atomic.Int32
	for range 3 {
		nc := testenv.Connect(t, url)
		_, err := nc.Subscribe("$SRV.STATS.renderer", func(m *nats.Msg) {
			asked.Add(1)
			data, err := json.Marshal(micro.Stats{Endpoints: []*micro.EndpointStats{{Subject: "page.user.>",
				NumRequests: 5}, {Subject: "page.home", NumRequests: 2}, {Subject: "picture.>", NumRequests: 100}}})
			if err == nil {
				err = m.Respond(data)
			}
			if err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all have answered in time", func() bool {
		made, ok := l.measure(t.Context())
		return ok &&
			made == 3*7
	})
	if asked.Load() == 0 {
		t.Error("nobody was asked")
	}
}
