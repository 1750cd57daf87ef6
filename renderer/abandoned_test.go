package renderer

import (
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestAbandonedRequestsAreNotWorked: the read of a request that everybody has left is cut short, one that waits is not
// begun, and one that somebody else wants too is finished.
func TestAbandonedRequestsAreNotWorked(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, small)
	release := st.stall(t)
	defer release()
	ask := func(id string, ref page.Ref) <-chan *nats.Msg {
		return st.ask(t, ref.Subject(), nats.Header{wire.HeaderRequest: {id}})
	}
	leave := func(id string) {
		t.Helper()
		if err := st.nc.Publish(wire.CancelSubject(id), nil); err != nil {
			t.Fatal(err)
		}
	}
	worked := ask("worked", page.Photo(1))
	load(t, s, page.KindPhoto, 1, 0)
	waiting := ask("waiting", page.Photo(2))
	load(t, s, page.KindPhoto, 1, 1)
	leave("nobody's")
	leave("waiting")
	leave("worked") // heard after the one before: a connection keeps its order
	for id, answer := range map[string]<-chan *nats.Msg{"worked": worked, "waiting": waiting} {
		if err := wire.ErrorOf(receive(t, answer)); wire.Code(err) != "abandoned" {
			t.Errorf("%s: %v", id, err)
		}
	}

	stays := ask("stays", page.Photo(3))
	load(t, s, page.KindPhoto, 1, 0)
	leaves := ask("leaves", page.User("ansel"))
	both := ask("both", page.User("dorothea"))
	load(t, s, page.KindUser, 0, 2)
	leave("leaves")
	release()
	if err := wire.ErrorOf(receive(t, stays)); err != nil {
		t.Errorf("stays: %v", err)
	}
	if err := wire.ErrorOf(receive(t, leaves)); wire.Code(err) != "abandoned" {
		t.Errorf("leaves: %v", err)
	}
	if err := wire.ErrorOf(receive(t, both)); err != nil {
		t.Errorf("waited beside one that was left: %v", err)
	}
	s.abandoned.mu.Lock()
	defer s.abandoned.mu.Unlock()
	if n := len(s.abandoned.jobs); n != 0 {
		t.Errorf("%d requests are still held", n)
	}
}
