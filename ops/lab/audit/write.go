package audit

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nuid"
)

// decision is what the seed decides about the n-th write. What is done depends on the state of the photo by then: a
// deleted one is posted again.
type decision struct {
	owner *owner
	photo int // index among the owner's
	what  uint32
	bit   int // which tag or album
	bus   bool
}

// decide draws the n-th decision. It depends on the seed alone, not on the writer that carries it out.
func (a *audit) decide(n int64) decision {
	draw := rand.New(rand.NewPCG(a.cfg.Seed, uint64(n)<<8|drawWrite))
	o := a.world.owners[a.drawOwner(draw)]
	d := decision{
		owner: o, photo: draw.IntN(len(o.photos)), what: draw.Uint32N(100), bit: draw.IntN(tagCount * maxAlbums),
		bus: draw.Float64() < a.cfg.BusShare,
	}
	if a.cfg.Actions {
		d.what %= whatHiding
	}
	return d
}

// Purposes of the seed, so that no two sequences of draws are the same.
const (
	drawWrite = iota + 1
	drawVisitor
	drawFault
	drawPerson
	drawWriter // as whom writes are viewed
)

// Draws from 0 to 99: below each limit the write of that name, from the last one on tagging.
const (
	whatTitling  = 50
	whatHiding   = 62
	whatDeleting = 68
	whatFiling   = 84
)

// change is a decision applied to the state of its photo.
type change struct {
	what   string
	photo  *photo
	next   state
	exists bool
	bit    int // the tag or album that changes
	bus    bool
	key    string
}

// plan turns a decision into a change. The caller holds p.busy.
func (d *decision) plan(p *photo) change {
	c := change{photo: p, next: p.now, exists: true, bus: d.bus, key: nuid.Next()}
	switch {
	case !p.exists:
		c.what, c.next = "posting", state{public: true, write: p.number + 1}
	case !p.now.public:
		c.what, c.next.public = "publishing", true
	case d.what < whatTitling:
		c.what, c.next.write = "titling", p.number+1
	case d.what < whatHiding:
		c.what, c.next.public = "hiding", false
	case d.what < whatDeleting:
		c.what, c.next, c.exists = "deleting", state{}, false
	case d.what < whatFiling:
		c.what, c.bit = "filing", d.bit%len(p.owner.albums)
		c.next.albums ^= 1 << c.bit
	default:
		c.what, c.bit = "tagging", d.bit%tagCount
		c.next.tags ^= 1 << c.bit
	}
	return c
}

// outcome is the result of a write.
type outcome struct {
	version, scope int64
	after          int64
	none           bool // it was not done
}

// carryOut makes the write that was decided. It times some writes, and offers others to be viewed by their writer.
func (a *audit) carryOut(ctx context.Context, d decision) error {
	watch := a.stopwatch()
	if watch != nil {
		defer watch.free(d.owner)
		watch.arm(ctx, d.owner)
	}
	e, err := a.write(ctx, d)
	switch {
	case err != nil || e == nil || !e.exact():
	case watch != nil:
		watch.time(ctx, e)
	default:
		a.offerOwnView(e)
	}
	return err
}

// write makes a write and records its outcome; the event is nil if the write did not happen. It returns only when the
// outcome is known. An error says that the outcome cannot be found out; then the audit must end.
func (a *audit) write(ctx context.Context, d decision) (*event, error) {
	p := d.owner.photos[d.photo]
	p.busy.Lock()
	defer p.busy.Unlock()
	c := d.plan(p)
	before := d.owner.newest()
	begun := d.owner.begin(a.now)
	via, do := Psql, a.writeByPsql
	if c.bus && c.action() != "" {
		via, do = Bus, a.writeByBus
	}
	until, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.untilOutcome())
	defer cancel()
	done, err := do(ctx, &c)
	unanswered := err != nil
	if unanswered {
		a.log.Debug("a write got no answer", "what", c.what, "photo", p.id, "via", string(via), "err", err)
		if done, err = a.findOutcome(until, &c, before); err != nil {
			d.owner.settle(begun, nil)
			return nil, err
		}
	}
	a.tally.wrote(via, unanswered)
	if !unanswered && a.cfg.OnAnswer != nil {
		a.cfg.OnAnswer()
	}
	if done.none {
		d.owner.settle(begun, nil)
		return nil, nil
	}
	e := &event{
		photo: p, state: c.next, via: via, what: c.what, version: done.version, after: done.after, begun: *begun,
		acked: a.now(),
	}
	if c.next.public != p.now.public {
		e.scope = done.scope
	}
	p.now, p.exists, p.number = c.next, c.exists, max(p.number, c.next.write)
	d.owner.settle(begun, e)
	return e, nil
}

// outcomeTimeout is how long a write and asking for its outcome take together, unless the configuration says it.
const outcomeTimeout = time.Minute

func (a *audit) untilOutcome() time.Duration { return cmp.Or(a.cfg.OutcomeTimeout, outcomeTimeout) }

// untilAnswer is how long a write is repeated, so that as much time is left to look its outcome up.
func (a *audit) untilAnswer() time.Duration { return a.untilOutcome() / 2 }
