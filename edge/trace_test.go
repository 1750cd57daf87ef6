package edge

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestTracesGoOn: a request on the bus belongs to the trace that the client names, whichever way it comes, and begins
// one where the client names none.
func TestTracesGoOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.renderer()
	seen := make(chan string, 100)
	s.answerWith(func(m *nats.Msg, ref page.Ref) *wire.Reply {
		if ref.Kind() == page.KindUser {
			seen <- m.Header.Get(wire.HeaderTrace)
		}
		return s.standard(ref)
	})
	const id, given = "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	n := 0
	for _, how := range []func(*Config){
		func(*Config) {}, func(c *Config) { c.NoFastPath = true }, func(c *Config) { c.Version = byHTTP2Version },
	} {
		e := s.edge(how)
		for _, c := range []struct {
			headers []string
			id      string
			sampled bool
		}{
			{[]string{"traceparent", given}, id, true},
			{[]string{"traceparent", "00-nonsense"}, "", false},
			{[]string{"traceparent", given, "traceparent", given}, "", false},
			{nil, "", false},
		} {
			n++
			if a := get(t, e, fmt.Sprintf("/photos/user%d", n), c.headers...); a.status != 200 {
				t.Fatalf("status %d", a.status)
			}
			text := <-seen
			got, ok := wire.ParseTrace(text)
			if !ok || got.Sampled() != c.sampled || c.id != "" && got.ID() != c.id || c.id == "" && got.ID() == id ||
				text == given {
				t.Errorf("%q became %q on the bus", c.headers, text)
			}
		}
	}
}
