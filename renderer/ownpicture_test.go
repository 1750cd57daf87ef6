package renderer

import (
	"errors"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// send sends a request for a private page, and does not wait.
func (m *member) send(ref page.PrivateRef, id string) <-chan *nats.Msg {
	m.t.Helper()
	asked := wire.PrivateRequest{Key: "key", Values: url.Values{}}
	if ref.Photo != 0 {
		asked.Values.Set("id", strconv.FormatInt(ref.Photo, 10))
		asked.Values.Set("width", strconv.Itoa(ref.Width))
	}
	data, err := asked.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	header := m.header("none")
	header.Set(wire.HeaderRequest, id)
	return m.st.askWith(m.t, &nats.Msg{Subject: ref.Subject(), Header: header, Data: data})
}

// TestPrivatePagesDoNotWaitForDecoding: while a person's pictures are made that are not stored, more of them than there
// are workers of any pool, forms and stored pictures are answered. A request whose visitor has left is not worked on.
func TestPrivatePagesDoNotWaitForDecoding(t *testing.T) {
	t.Parallel()
	st, path := pictureSite(t)
	slow := &slowStore{Store: st.pictures, opened: make(chan string, 100), hold: make(chan struct{})}
	s := st.start(t, func(c *Config) { c.PictureWorkers, c.Pictures = 1, slow })
	release := sync.OnceFunc(func() { close(slow.hold) })
	defer release()
	dorothea := &member{st: st, t: t, user: 2}
	var missing []int64
	for i := range privateWorkers + ownFileWorkers + 2 {
		im := st.ingest(t, 700+i, 500)
		forget(t, path, im.ID, 640)
		missing = append(missing, st.post(t, im))
	}
	st.exec(t, "UPDATE photos SET private = true WHERE user_id = 2")

	answers := make([]<-chan *nats.Msg, len(missing))
	for i, photo := range missing {
		answers[i] = dorothea.send(page.OwnPicture(photo, 640), "asked "+strconv.Itoa(i))
	}
	<-slow.opened
	const name = "private-picture"
	loadOf(t, s, name, 1, len(missing)-1)
	for _, ref := range []page.PrivateRef{{Private: page.PrivateSignIn}, {Private: page.PrivatePhotos},
		page.OwnPicture(missing[0], 320)} {
		if _, err := dorothea.ask(ref, wire.PrivateRequest{}); err != nil {
			t.Errorf("%s: %v", ref.Path(), err)
		}
	}
	left := dorothea.send(page.OwnPicture(missing[0], 2560), "left")
	loadOf(t, s, name, 1, len(missing))
	if err := st.nc.Publish(wire.CancelSubject("left"), nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		s.abandoned.mu.Lock()
		defer s.abandoned.mu.Unlock()
		if j := s.abandoned.jobs["left"]; len(j) != 1 || !j[0].lost {
			return errors.New("it is not abandoned")
		}
		return nil
	})
	release()
	if err := wire.ErrorOf(receive(t, left)); wire.Code(err) != "abandoned" {
		t.Errorf("a picture that nobody waits for: %v", err)
	}
	for i, answer := range answers {
		if err := wire.ErrorOf(receive(t, answer)); err != nil {
			t.Errorf("picture %d: %v", i, err)
		}
	}
	if n := len(slow.opened); n != len(missing)-1 {
		t.Errorf("%d originals were read after the first, want %d", n, len(missing)-1)
	}
	if _, err := dorothea.ask(page.OwnPicture(missing[1], 640), wire.PrivateRequest{}); err != nil {
		t.Error(err)
	}
	if n := len(slow.opened); n != len(missing)-1 {
		t.Error("a picture was made and not kept")
	}
	settled(t, s)
	if r := totalOf(s, name); len(r.Errors) != 1 || r.Errors["abandoned"] != 1 {
		t.Errorf("statistics: %+v", r)
	}
}
