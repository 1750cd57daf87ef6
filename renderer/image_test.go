package renderer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// slowStore is a picture store that counts the originals that are opened, and holds each until hold is closed.
type slowStore struct {
	pictures.Store
	opened chan string
	hold   chan struct{}
}

func (s *slowStore) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, err := s.Store.Open(ctx, name)
	if err != nil || !pictures.ValidID(name) {
		return r, err
	}
	return &slowFile{r, s, name, sync.Once{}}, nil
}

type slowFile struct {
	io.ReadCloser
	store *slowStore
	name  string
	begun sync.Once
}

// Read is where an original is begun: code that only opens it checks that it is there.
func (f *slowFile) Read(p []byte) (int, error) {
	f.begun.Do(func() {
		f.store.opened <- f.name
		<-f.store.hold
	})
	return f.ReadCloser.Read(p)
}

// pictureSite is a site whose picture store's files the test may remove.
func pictureSite(t testing.TB) (*site, string) {
	t.Helper()
	st, path := newSite(t), t.TempDir()
	dir, err := pictures.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	st.pictures = dir
	return st, path
}

func (st *site) ingest(t testing.TB, width, height int) pictures.Image {
	t.Helper()
	im, err := pictures.Ingest(t.Context(), st.pictures, bytes.NewReader(landscape(t, width, height)),
		pictures.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// forget removes a stored derivative.
func forget(t testing.TB, path, id string, width int) {
	t.Helper()
	removeFile(t, path, id, fmt.Sprintf(".%d.jpg", width))
}

// removeFile removes a file of an image, whose name is the id and an ending.
func removeFile(t testing.TB, path, id, ending string) {
	t.Helper()
	if err := os.Remove(filepath.Join(path, id[:2], id+ending)); err != nil {
		t.Fatal(err)
	}
}

// While the only picture worker decodes, what is stored is answered, and what is missing waits; it is then kept.
func TestStoredPicturesDoNotWaitForDecoding(t *testing.T) {
	t.Parallel()
	st, path := pictureSite(t)
	slow := &slowStore{Store: st.pictures, opened: make(chan string, 100), hold: make(chan struct{})}
	stored, missing := st.ingest(t, 900, 600), st.ingest(t, 800, 600)
	forget(t, path, missing.ID, 640)
	s := st.start(t, func(c *Config) { c.PictureWorkers, c.Pictures = 1, slow })
	release := sync.OnceFunc(func() { close(slow.hold) })
	defer release()

	ref := st.picture(t, st.post(t, missing), 640)
	shown := st.post(t, stored)
	first := st.ask(t, ref.Subject(), nil)
	if id := <-slow.opened; id != missing.ID {
		t.Fatalf("%s is decoded", id)
	}
	second := st.ask(t, ref.Subject(), nil)
	load(t, s, page.KindImage, 1, 1)
	for _, width := range page.Widths()[:3] {
		if reply := st.get(t, st.picture(t, shown, width)); reply.Status != 200 {
			t.Errorf("stored, %d: status %d", width, reply.Status)
		}
	}
	if reply := st.get(t, page.Image("aaaaaaaaaaaaaaaaaaaaaaaaaa", 640)); reply.Status != 404 {
		t.Errorf("no such picture: status %d", reply.Status)
	}
	release()
	for _, answer := range []<-chan *nats.Msg{first, second} {
		if err := wire.ErrorOf(receive(t, answer)); err != nil {
			t.Error(err)
		}
	}
	if reply := st.get(t, ref); reply.Status != 200 {
		t.Errorf("kept: status %d", reply.Status)
	}
	if n := len(slow.opened); n != 0 {
		t.Errorf("the original was read %d times more", n)
	}
	settled(t, s)
	if r := total(s, page.KindImage); len(r.Errors) != 0 || r.InFlight != 0 || r.Queued != 0 {
		t.Errorf("statistics: %+v", r)
	}
	if n := turns(t, s, s.images); n == 0 {
		t.Error("the turns of the picture worker are counted for another pool")
	}
}

// turns is how many turns of a pool's workers are counted.
func turns(t testing.TB, s *running, p *pool) uint64 {
	t.Helper()
	var m dto.Metric
	if err := s.metrics.batch.WithLabelValues(p.name).(prometheus.Histogram).Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetHistogram().GetSampleCount()
}

// A width beyond the original's gives the widest there is.
func TestPictureIsNeverEnlarged(t *testing.T) {
	t.Parallel()
	st, _ := pictureSite(t)
	st.start(t, nil)
	photo := st.post(t, st.ingest(t, 500, 400))
	for _, width := range page.Widths() {
		reply := st.get(t, st.picture(t, photo, width))
		header, err := jpeg.DecodeConfig(bytes.NewReader(reply.Body))
		if err != nil || header.Width != min(width, 500) {
			t.Errorf("%d: %d wide, %v", width, header.Width, err)
		}
	}
}

// While an original is missing its draft is shown at each width without a stored derivative, and for a moment only.
func TestPictureWithoutOriginal(t *testing.T) {
	t.Parallel()
	st, path := pictureSite(t)
	st.start(t, nil)
	im := st.ingest(t, 1400, 900)
	grey := image.NewGray(image.Rect(0, 0, 100, 60))
	if err := pictures.KeepDraft(t.Context(), st.pictures, im.ID, grey); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(path, im.ID[:2], im.ID)); err != nil {
		t.Fatal(err)
	}
	forget(t, path, im.ID, 1280)
	photo := st.post(t, im)
	for _, c := range []struct{ width, wide int }{{320, 320}, {640, 640}, {1280, 100}, {2560, 100}} {
		reply := st.get(t, st.picture(t, photo, c.width))
		header, err := jpeg.DecodeConfig(bytes.NewReader(reply.Body))
		if err != nil || header.Width != c.wide {
			t.Errorf("%d: %d wide, %v, want %d", c.width, header.Width, err, c.wide)
		}
		if stored := c.wide == c.width; reply.Immutable != stored || (reply.MaxAge == missingImageAge) == stored {
			t.Errorf("%d: immutable %t, for %v", c.width, reply.Immutable, reply.MaxAge)
		}
	}
}

// 80 pictures are requested at the same moment, all of them stored or none: one picture worker answers all, refusing
// none.
func TestOnePictureWorkerServesABurst(t *testing.T) {
	t.Parallel()
	const requests = 80
	for name, stored := range map[string]bool{"stored": true, "not stored": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, path := pictureSite(t)
			s := st.start(t, func(c *Config) { c.PictureWorkers = 1 })
			refs := make([]page.Ref, requests)
			for i := range refs {
				im := st.ingest(t, 330+i, 20)
				if !stored {
					forget(t, path, im.ID, 320)
				}
				refs[i] = st.picture(t, st.post(t, im), 320)
			}
			var asked []<-chan *nats.Msg
			for _, ref := range refs {
				asked = append(asked, st.ask(t, ref.Subject(), nil))
			}
			var errs []error
			for i, answer := range asked {
				msg := receive(t, answer)
				err := wire.ErrorOf(msg)
				if err == nil {
					var reply *wire.Reply
					if reply, err = wire.DecodeReply(refs[i].Key(), msg.Data); err == nil && reply.Status != 200 {
						err = fmt.Errorf("status %d", reply.Status)
					}
				}
				errs = append(errs, err)
			}
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
			settled(t, s)
			if r := total(s, page.KindImage); len(r.Errors) != 0 {
				t.Errorf("statistics: %+v", r)
			}
		})
	}
}
