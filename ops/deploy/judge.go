package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/micro"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/sleep"
	"flickrkillr/schema/wire"
)

// A new instance is worse than the old ones when it fails requests that they do not fail, or when its p99 is more than
// slower times theirs. What is below these bounds says nothing: a first request may wait for a connection.
const (
	fewAnswers = 200                   // fewer have no p99: it would be the one that waited longest
	fewErrors  = 2                     // as many may fail, and a fiftieth of its requests
	slower     = 2                     // times
	soonEnough = 20 * time.Millisecond // what no p99 need be shorter than
)

const (
	// seenLimit is how long an instance that says it is ready may take to be seen on the bus.
	seenLimit = 30 * time.Second
	// askLimit bounds a question to the roles, by a host.
	askLimit = 30 * time.Second
)

// figures are what the roles said of themselves, each once, by host and process.
type figures map[process]discovery.Statistics

// process tells instances apart, as discovery.Host does.
type process struct{ host, pid string }

// ask asks the roles for their figures, by the bus, on a host that has a release and a configuration.
func (r *remote) ask(ctx context.Context, host string, with pair) (figures, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	text, err := r.run(ctx, call{
		host: host, script: scriptOf("instances"), args: []string{with.release, with.config},
	})
	if err != nil {
		return nil, fmt.Errorf("ask the roles for their figures: %w", err)
	}
	var all []discovery.Statistics
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("read the roles' figures: %s: %w", host, err)
	}
	f := figures{}
	for _, one := range all {
		f[process{one.Metadata["host"], one.Metadata["pid"]}] = one
	}
	return f, nil
}

// seen waits until a new instance answers on the bus.
func (r *remote) seen(ctx context.Context, host string, with pair, at process) (figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, seenLimit, errors.New("it is not among the roles on the bus"))
	defer cancel()
	for {
		all, err := r.ask(ctx, host, with)
		if _, there := all[at]; there {
			return all, nil
		}
		if ctx.Err() != nil {
			return nil, errors.Join(context.Cause(ctx), err)
		}
		if !sleep.For(ctx, 100*time.Millisecond) {
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

// compare says why a new instance is worse than the old ones of its role were over the same seconds: because it fails
// requests, or because it is slow. nil: it is not, or nothing tells.
func compare(role wire.Role, at process, before, after figures, old func(process) bool) (failed, slow error) {
	var mine, theirs tally
	for p, now := range after {
		then, both := before[p]
		if now.Name != string(role) || !both {
			continue
		}
		switch {
		case p == at:
			mine.add(then, now)
		case old(p):
			theirs.add(then, now)
		}
	}
	allowed := fewErrors + mine.requests/50
	if theirs.requests > 0 {
		allowed += 2 * mine.requests * theirs.failed / theirs.requests
	}
	if mine.failed > allowed {
		return fmt.Errorf("it failed %d of %d requests, and those of before %d of %d: %s",
			mine.failed, mine.requests, theirs.failed, theirs.requests, mine.why), nil
	}
	if mine.answers.Count() < fewAnswers || theirs.answers.Count() < fewAnswers {
		return nil, nil
	}
	own, others := mine.p99(), theirs.p99()
	if own > soonEnough && own > slower*others {
		return nil, fmt.Errorf("its p99 is %s, and that of those before %s", own, others)
	}
	return nil, nil
}

// tally is what instances did between two moments.
type tally struct {
	requests, failed int
	why              string // of a failure
	answers          histogram.Histogram
}

func (t *tally) add(before, after discovery.Statistics) {
	then := map[string]*micro.EndpointStats{}
	for _, e := range before.Endpoints {
		then[e.Name] = e
	}
	for _, e := range after.Endpoints {
		b := then[e.Name]
		if b == nil {
			b = &micro.EndpointStats{}
		}
		t.requests += e.NumRequests - b.NumRequests
		if failed := e.NumErrors - b.NumErrors; failed > 0 {
			t.failed += failed
			t.why = e.Name + ": " + e.LastError
		}
	}
	t.answers = t.answers.Plus(answersOf(after).Since(answersOf(before)))
}

func (t *tally) p99() time.Duration {
	return time.Duration(t.answers.Quantile(.99) * float64(time.Second)).Round(time.Millisecond)
}

// answersOf reads how long answers took; a release that does not tell it has none.
func answersOf(s discovery.Statistics) histogram.Histogram {
	var figures struct {
		Answers histogram.Histogram `json:"answers"`
	}
	if json.Unmarshal(s.Data, &figures) != nil || !figures.Answers.Valid() {
		return histogram.Histogram{}
	}
	return figures.Answers
}

func processOf(s *state, pid int) process { return process{s.hostname, strconv.Itoa(pid)} }
