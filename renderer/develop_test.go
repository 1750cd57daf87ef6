package renderer

import (
	"context"
	"encoding/gob"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
)

// TestPictureThatEndsProcesses is not decoded any more, whoever asks for it. Its photos stay, and it is forgotten when
// they are gone.
func TestPictureThatEndsProcesses(t *testing.T) {
	t.Parallel()
	st, path := pictureSite(t)
	im := st.ingest(t, 800, 600)
	s := st.start(t, nil)
	photo := st.post(t, im)
	forget(t, path, im.ID, 640)
	const again = "INSERT INTO unmade_pictures (image_id, due_at, tries) VALUES ($1, now() + interval '1 h', $2)"
	if _, err := st.pool.Exec(t.Context(), again, im.ID, developTries+1); err != nil {
		t.Fatal(err)
	}
	taken := func() {
		t.Helper()
		p := undeveloped{image: im.ID, taken: true, times: developTries + 1}
		if err := s.developOne(t.Context(), p); err != nil {
			t.Error(err)
		}
	}
	taken()
	const later = "SELECT count(*) FROM unmade_pictures WHERE image_id = $1 AND due_at > now() + interval '2 h'"
	if n := st.scalar(t, later, im.ID); n != 1 {
		t.Error("it is not noted that the picture was given up")
	}
	if reply := st.get(t, st.picture(t, photo, 640)); reply.Status != 404 {
		t.Errorf("its picture has status %d", reply.Status)
	}
	if reply := st.get(t, page.Photo(photo)); reply.Status != 200 {
		t.Errorf("its page has status %d", reply.Status)
	}
	if ok, err := pictures.IsStored(t.Context(), st.pictures, pictures.DerivativeName(im.ID, 640)); ok || err != nil {
		t.Errorf("it was decoded: %t, %v", ok, err)
	}
	if err := st.pictures.Delete(t.Context(), im.ID); err != nil {
		t.Fatal(err)
	}
	taken()
	if n := st.scalar(t, "SELECT count(*) FROM unmade_pictures"); n != 0 {
		t.Errorf("%d pictures wait that are gone", n)
	}
}

// TestPictureThatEndsItsDecoder: when the process ends that decodes for a renderer, this counts as a try, and neither
// the renderer nor a request for a page suffers. Not parallel: it is about all pictures of this process.
func TestPictureThatEndsItsDecoder(t *testing.T) { //nolint:paralleltest // see above
	st, path := pictureSite(t)
	im := st.ingest(t, 800, 600)
	s := st.start(t, nil)
	photo := st.post(t, im)
	forget(t, path, im.ID, 640)
	const due = "INSERT INTO unmade_pictures (image_id, due_at, tries) VALUES ($1, now(), $2)"
	if _, err := st.pool.Exec(t.Context(), due, im.ID, developTries-1); err != nil {
		t.Fatal(err)
	}
	greeting := filepath.Join(t.TempDir(), "greeting")
	file, err := os.Create(greeting)
	if err = errors.Join(err, gob.NewEncoder(file).Encode(pictures.Greeting), file.Close()); err != nil {
		t.Fatal(err)
	}
	end := pictures.Outside(1, 0, func() *exec.Cmd { return exec.Command("cat", greeting) },
		func(err error) { t.Error(err) })
	defer end()
	image, times, err := s.store.TakePicture(t.Context(), im.ID)
	if image == "" && err == nil {
		image, times, err = s.store.TakePicture(t.Context(), "")
	}
	if image != im.ID || times != developTries || err != nil {
		t.Fatalf("taken: %s for the %d. time, %v", image, times, err)
	}
	err = s.developOne(t.Context(), undeveloped{image: image, taken: true, times: times})
	if !errors.Is(err, pictures.ErrCrashed) {
		t.Errorf("developed: %v", err)
	}
	if n := st.scalar(t, "SELECT tries FROM unmade_pictures WHERE image_id = $1", im.ID); n != developTries {
		t.Errorf("taken %d times, %d are known", developTries, n)
	}
	if reply := st.get(t, page.Photo(photo)); reply.Status != 200 {
		t.Errorf("its page has status %d", reply.Status)
	}
	end()
	if reply := st.get(t, st.picture(t, photo, 640)); reply.Status != 200 {
		t.Errorf("decoded by the renderer itself, its picture has status %d", reply.Status)
	}
}

// due is a context whose deadline comes when it is told so.
type due struct {
	context.Context
	come chan struct{}
}

func (d due) Done() <-chan struct{} { return d.come }

func (d due) Err() error {
	select {
	case <-d.come:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestPictureThatTakesTooLong: when the process that decodes is killed because its time is up, this counts as a try, so
// the picture is given up some time. Not parallel: see TestPictureThatEndsItsDecoder.
func TestPictureThatTakesTooLong(t *testing.T) { //nolint:paralleltest // see above
	st, path := pictureSite(t)
	im := st.ingest(t, 800, 600)
	s := st.start(t, nil)
	forget(t, path, im.ID, 640)
	const again = "INSERT INTO unmade_pictures (image_id, due_at, tries) VALUES ($1, now() + interval '1 h', $2)"
	if _, err := st.pool.Exec(t.Context(), again, im.ID, developTries); err != nil {
		t.Fatal(err)
	}
	ctx := due{t.Context(), make(chan struct{})}
	end := pictures.Outside(1, 0, func() *exec.Cmd {
		close(ctx.come)
		return exec.Command("sleep", "1000")
	}, func(err error) { t.Error(err) })
	defer end()
	err := s.developOne(ctx, undeveloped{image: im.ID, taken: true, times: developTries})
	if !errors.Is(err, pictures.ErrCrashed) {
		t.Errorf("developed: %v", err)
	}
	if n := st.scalar(t, "SELECT tries FROM unmade_pictures WHERE image_id = $1", im.ID); n != developTries {
		t.Errorf("taken %d times, %d are known", developTries, n)
	}
}
