package session

import (
	"errors"
	"testing"
	"time"

	"flickrkillr/schema/wire"
)

// TestClockAnHourOff: no session ends early or late at edges whose clocks are an hour ahead or behind, whether a
// heartbeat has told them the time or not.
func TestClockAnHourOff(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"behind": time.Hour, "ahead": -time.Hour} {
		for told, clock := range map[string]*wire.Clock{"told": {}, "not told": {}} {
			t.Run(name+", "+told, func(t *testing.T) {
				t.Parallel()
				b := newBus(t)
				b.clock = &wire.Clock{}
				right := time.Now().Add(ahead) // cluster time, from which this machine's clock differs
				b.clock.Observe(wire.Heartbeat{Time: right}, time.Now())
				if told == "told" {
					clock.Observe(wire.Heartbeat{Time: right}, time.Now())
				}
				edges := []*Store{b.edge(), b.edgeWith(clock)}
				for i, s := range edges {
					other := edges[1-i]
					first, second := b.begin(s, ansel()), b.begin(other, ansel())
					for _, token := range []string{first, second} {
						b.everywhere(edges, token, true)
					}
					if err := s.EndAll(t.Context(), ansel().User); err != nil {
						t.Fatal(err)
					}
					for _, token := range []string{first, second} {
						b.everywhere(edges, token, false)
					}
					for _, begins := range edges { // once more, after that
						token := b.begin(begins, ansel())
						b.everywhere(edges, token, true)
						if err := begins.End(t.Context(), ansel().User, IDOf(token)); err != nil {
							t.Fatal(err)
						}
						b.everywhere(edges, token, false)
					}
				}
			})
		}
	}
}

// TestRenewalWithAWrongClock: a session is renewed an hour after it was last, in cluster time, not before.
func TestRenewalWithAWrongClock(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"behind": time.Hour, "ahead": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			b.clock = &wire.Clock{}
			begun := time.Now().Add(ahead)
			b.clock.Observe(wire.Heartbeat{Time: begun}, time.Now())
			s := b.edge()
			token := b.begin(s, ansel())
			for _, c := range []struct {
				later time.Duration
				want  bool
			}{{renewAfter - 5*time.Minute, false}, {renewAfter + time.Minute, true}} {
				clock := &wire.Clock{} // of an edge that has begun since
				clock.Observe(wire.Heartbeat{Time: begun.Add(c.later)}, time.Now())
				v, renewed, err := b.edgeWith(clock).Find(t.Context(), token)
				if err != nil || renewed != c.want {
					t.Errorf("%v later: renewed %t, want %t: %+v, %v", c.later, renewed, c.want, v.Session, err)
				}
			}
		})
	}
}

// everywhere checks that each edge has a session, or none does, soon.
func (b *bus) everywhere(edges []*Store, token string, want bool) {
	b.t.Helper()
	for _, s := range edges {
		eventually(b.t, "the edges agree on a session", func() bool {
			_, _, err := s.Find(b.t.Context(), token)
			if err != nil && !errors.Is(err, ErrNone) {
				b.t.Fatal(err)
			}
			return (err == nil) == want
		})
	}
}
