package cachefill

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"golang.org/x/time/rate"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// Bounds of measuring the load of renderers.
const (
	loadEvery  = 5 * time.Second
	loadAnswer = 300 * time.Millisecond // how long renderers have to answer
	loadWeight = .2                     // of a new sample, so that the average covers about half a minute
	replayLow  = 20                     // notes a second, on however quiet a site
)

// rendererLoad measures how many pages a second the renderers make in normal operation, from the answers to `nats
// micro stats renderer`.
type rendererLoad struct {
	nc     *nats.Conn
	steady atomic.Uint64 // bits of a float64, pages a second; 0: not known

	made int // pages that all renderers had made, and when; run alone uses them
	at   time.Time
}

// run measures until ctx ends, except while skip reports that there is more to do than usual.
func (l *rendererLoad) run(ctx context.Context, skip func() bool) {
	ticker := time.NewTicker(loadEvery)
	defer ticker.Stop()
	for {
		if skip() {
			l.at = time.Time{}
		} else if made, ok := l.measure(ctx); ok {
			l.sample(made, time.Now())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sample records how many pages had been made by now. Fewer than before means that a renderer has left; such a sample
// counts for nothing.
func (l *rendererLoad) sample(made int, now time.Time) {
	if !l.at.IsZero() && made >= l.made {
		rate := float64(made-l.made) / now.Sub(l.at).Seconds()
		if before := math.Float64frombits(l.steady.Load()); before > 0 {
			rate = before + loadWeight*(rate-before)
		}
		l.steady.Store(math.Float64bits(rate))
	}
	l.made, l.at = made, now
}

// measure adds up the pages made by all renderers that answer in time.
func (l *rendererLoad) measure(ctx context.Context) (made int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, loadAnswer)
	defer cancel()
	inbox := l.nc.NewRespInbox()
	sub, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return 0, false
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := l.nc.PublishRequest(wire.SubjectRendererStats, inbox, nil); err != nil {
		return 0, false
	}
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return made, ok // no further answer
		}
		var stats micro.Stats
		if json.Unmarshal(msg.Data, &stats) != nil {
			continue
		}
		ok = true
		for _, e := range stats.Endpoints {
			if strings.HasPrefix(e.Subject, page.SubjectPrefix) {
				made += e.NumRequests
			}
		}
	}
}

// pace is how many notes a second a replay may send: as many as the renderers make pages anyway, so that the load of
// renderers and Postgres at most doubles. While the load is unknown, as after a cold start, and on a busy site, it is
// most.
func (l *rendererLoad) pace(most int) rate.Limit {
	steady := math.Float64frombits(l.steady.Load())
	if steady == 0 {
		return rate.Limit(most)
	}
	return rate.Limit(min(float64(most), max(steady, replayLow)))
}
