package pool

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/discovery"
	"flickrkillr/schema/histogram"
	"flickrkillr/schema/wire"
)

// Bounds of gathering.
const (
	// patience is how long the answers of roles are waited for. Those that were there before answer within some
	// milliseconds, unless they stand still; so one that has just ended costs that long, once.
	patience = 500 * time.Millisecond
	// silence is how long nothing more may come before a round without known roles ends.
	silence = 100 * time.Millisecond
	// most bounds the instances of a round.
	most = 10_000
)

// Instance is one role, as it described itself.
type Instance struct {
	discovery.Statistics
	Renderer  *discovery.RendererFigures // of a renderer; nil for others, and for versions without figures
	Edge      *discovery.EdgeFigures     // of an edge; likewise
	Cachefill *CachefillFigures          // of a cachefill; likewise
	// ReplicaLag is by how much the last replica that it reads from is behind, in seconds; nil: it reads from none.
	ReplicaLag *float64
}

// CachefillFigures are what a cachefill tells beside its counts.
type CachefillFigures struct {
	Queued  int               `json:"queued"`
	Servers map[string]string `json:"servers"` // the state of each memcached server
	Filled  int               `json:"filled"`
}

// Snapshot is who answered at one moment, in order of role and start.
type Snapshot struct {
	At        time.Time
	Instances []Instance
}

// Of are the instances of one role.
func (s Snapshot) Of(role wire.Role) (all []Instance) {
	for _, i := range s.Instances {
		if i.Name == string(role) {
			all = append(all, i)
		}
	}
	return all
}

// Gatherer asks. It is not safe for concurrent use.
type Gatherer struct {
	nc       *nats.Conn
	subject  string
	patience time.Duration
	silence  time.Duration
	known    map[string]bool // ids of those that answered in the last round
}

// NewGatherer returns a Gatherer that asks by nc. role is the only role that is asked; "": all.
func NewGatherer(nc *nats.Conn, role wire.Role) *Gatherer {
	subject := wire.SubjectStats
	if role != "" {
		subject += "." + string(role)
	}
	return &Gatherer{nc: nc, subject: subject, patience: patience, silence: silence}
}

// waitLonger has each round wait longer: for who asks a few times only, and must not miss roles that answer late on a
// busy machine.
func (g *Gatherer) waitLonger() { g.patience, g.silence = 4*time.Second, time.Second }

// WaitFor has each round wait so long for those that answered in the one before.
func (g *Gatherer) WaitFor(patience time.Duration) { g.patience = patience }

// Gather asks once. An error means that the bus is not there, or that ctx ended; no answers are no error.
func (g *Gatherer) Gather(ctx context.Context) (Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, g.patience)
	defer cancel()
	shot := Snapshot{}
	inbox := g.nc.NewRespInbox()
	sub, err := g.nc.SubscribeSync(inbox)
	if err != nil {
		return shot, fmt.Errorf("ask the roles: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if !g.nc.IsConnected() {
		return shot, errors.New("ask the roles: NATS does not answer")
	}
	if err := g.nc.PublishRequest(g.subject, inbox, nil); err != nil {
		return shot, fmt.Errorf("ask the roles: %w", err)
	}
	answered, missing := map[string]bool{}, len(g.known)
	for len(answered) < most {
		bound := g.patience
		if missing == 0 && len(answered) > 0 { // all that are known have answered; others may come
			bound = g.silence
		}
		msg, err := next(ctx, sub, bound)
		if err != nil { // nobody says more
			break
		}
		if i, ok := read(msg.Data); ok && !answered[i.ID] {
			answered[i.ID] = true
			if g.known[i.ID] {
				missing--
			}
			shot.Instances = append(shot.Instances, i)
		}
	}
	shot.At, g.known = time.Now(), answered
	shot.sort()
	return shot, nil
}

func (s *Snapshot) sort() {
	slices.SortFunc(s.Instances, func(a, b Instance) int {
		return cmp.Or(
			cmp.Compare(order(a.Name), order(b.Name)), cmp.Compare(a.Name, b.Name), a.Started.Compare(b.Started),
			cmp.Compare(a.ID, b.ID),
		)
	})
}

// next waits for a further answer.
func next(ctx context.Context, sub *nats.Subscription, bound time.Duration) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	return sub.NextMsgWithContext(ctx)
}

// order has roles in the way of a request.
func order(role string) int {
	return slices.Index([]string{wire.ServiceEdge, wire.ServiceRenderer, wire.ServiceCachefill}, role)
}

// read reads an answer. What has no identity, or says it has what cannot be, is none.
func read(data []byte) (i Instance, ok bool) {
	if json.Unmarshal(data, &i.Statistics) != nil || i.ID == "" || i.Name == "" {
		return i, false
	}
	figures := i.Data
	switch i.Name {
	case wire.ServiceRenderer:
		i.Renderer = part[discovery.RendererFigures](figures)
		if i.Renderer != nil {
			i.ReplicaLag = i.Renderer.ReplicaLag
			for name, p := range i.Renderer.Pools {
				if !p.QueueWait.Valid() {
					p.QueueWait = histogram.Histogram{}
					i.Renderer.Pools[name] = p
				}
			}
		}
	case wire.ServiceEdge:
		i.Edge = part[discovery.EdgeFigures](figures)
		if i.Edge != nil && !(i.Edge.Answers.Valid() && i.Edge.Changes.Valid()) {
			i.Edge = nil
		}
	case wire.ServiceCachefill:
		for _, e := range i.Endpoints {
			i.Cachefill = part[CachefillFigures](e.Data)
		}
	}
	return i, true
}

// part reads figures; nil if there are none.
func part[T any](data json.RawMessage) *T {
	var figures T
	if len(data) == 0 || json.Unmarshal(data, &figures) != nil {
		return nil
	}
	return &figures
}
