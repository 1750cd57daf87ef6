package renderer

import (
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestPicturesOfLinks: while more pictures of one link wait than it may have, its further ones are refused, and owners
// see theirs.
func TestPicturesOfLinks(t *testing.T) {
	t.Parallel()
	st, _ := pictureSite(t)
	registry := prometheus.NewRegistry()
	s := st.start(t, func(c *Config) { c.Registry = registry })
	dorothea := &member{st: st, t: t, user: 2}
	photo := st.post(t, st.ingest(t, 700, 500))
	st.exec(t, "UPDATE photos SET private = true WHERE user_id = 2")
	lock, err := st.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Rollback(t.Context()) }()
	if _, err := lock.Exec(t.Context(), "LOCK TABLE shares"); err != nil { // each picture of a link waits for it
		t.Fatal(err)
	}
	data, err := wire.ShareRequest{Photo: photo, Width: 320}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	asks := func(token byte) <-chan *nats.Msg {
		share := page.ShareToken([16]byte{token})
		return st.askWith(t, &nats.Msg{Subject: wire.SubjectSharePicture, Data: data,
			Header: nats.Header{wire.HeaderShare: {page.Share{Token: share}.ID()}}})
	}
	var answers []<-chan *nats.Msg
	waiting := func(n int) {
		t.Helper()
		testenv.Eventually(t, strconv.Itoa(n)+" pictures wait", func() bool {
			return waitingFor(t, registry, "share-files") == float64(n)
		})
	}
	for range shareFileWorkers {
		answers = append(answers, asks(1))
	}
	loadOf(t, s, "share-picture", shareFileWorkers, 0)
	for range shareFilesPerLink {
		answers = append(answers, asks(1))
	}
	waiting(shareFilesPerLink)
	if err := wire.ErrorOf(receive(t, asks(1))); wire.Code(err) != "busy" {
		t.Errorf("a link has all places: %v", err)
	}
	answers = append(answers, asks(2))
	waiting(shareFilesPerLink + 1)
	if _, err := dorothea.ask(page.OwnPicture(photo, 320), wire.PrivateRequest{}); err != nil {
		t.Errorf("the owner's own picture: %v", err)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, answer := range answers {
		if err := wire.ErrorOf(receive(t, answer)); wire.Code(err) != "not_found" {
			t.Errorf("picture %d of a link that nobody has made: %v", i, err)
		}
	}
}
