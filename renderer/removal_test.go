package renderer

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/wire"
)

// forgetful is a server before another one. It breaks off the first DELETE of a file, which may be done late.
type forgetful struct {
	name   atomic.Pointer[string] // of the file; nil: all requests are passed on
	broken chan *http.Request
	pass   http.Handler
}

func (f *forgetful) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if name := f.name.Load(); name != nil && r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, *name) &&
		f.name.CompareAndSwap(name, nil) {
		f.broken <- r.Clone(context.WithoutCancel(r.Context()))
		panic(http.ErrAbortHandler)
	}
	f.pass.ServeHTTP(w, r)
}

// late does what was broken off.
func (f *forgetful) late(t *testing.T, r *http.Request) {
	t.Helper()
	answer := httptest.NewRecorder()
	f.pass.ServeHTTP(answer, r)
	if answer.Code != http.StatusNoContent && answer.Code != http.StatusOK {
		t.Fatalf("the late DELETE has status %d: %s", answer.Code, answer.Body)
	}
}

// TestLateRemoval: a bucket's server that does a DELETE long after it was given up takes no original that was uploaded
// again meanwhile.
func TestLateRemoval(t *testing.T) {
	t.Parallel()
	f := &forgetful{broken: make(chan *http.Request, 1)}
	location := testenv.S3Behind(t, testenv.S3Bucket(t), func(pass http.Handler) http.Handler {
		f.pass = pass
		return f
	})
	files, err := pictures.OpenFiles(location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.Close() })
	st := newSite(t)
	st.pictures, st.staging = files, files
	st.start(t, nil)
	data := photoFile(t, 0)
	image := pictures.ID(data)
	a, b := st.newSender(t, "a", data), st.newSender(t, "b", data)
	a.send(t, "a.jpg")
	a.finished(t)
	f.name.Store(&image)
	if _, err := st.pool.Exec(t.Context(), "DELETE FROM photos WHERE image_id = $1", image); err != nil {
		t.Fatal(err)
	}
	broken := <-f.broken
	b.send(t, "b.jpg")
	finished := func() bool {
		_, err := b.finish(t)
		if err != nil && !errors.Is(err, wire.ErrBusy) {
			t.Fatal(err)
		}
		return err == nil
	}
	soon := finished()
	f.late(t, broken)
	if !soon {
		testenv.Eventually(t, "there is a photo when the original has rested", func() bool {
			st.originalsAreDue(t)
			return finished()
		})
	}
	if stored, err := pictures.IsStored(t.Context(), files, image); !stored || err != nil {
		t.Errorf("the photo is acknowledged, and its original is there: %t (%v)", stored, err)
	}
}

// TestLateDerivative: a derivative that is stored after its original was removed does not stay.
func TestLateDerivative(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	image, name := st.image.ID, pictures.DerivativeName(st.image.ID, 320)
	if _, err := st.pool.Exec(t.Context(), "DELETE FROM photos WHERE image_id = $1", image); err != nil {
		t.Fatal(err)
	}
	const removed = "SELECT count(*) FROM unused_images WHERE again"
	testenv.Eventually(t, "the original is removed", func() bool { return st.scalar(t, removed) == 1 })
	if err := st.pictures.Put(t.Context(), name, bytes.NewReader([]byte("late"))); err != nil {
		t.Fatal(err)
	}
	st.originalsAreDue(t)
	testenv.Eventually(t, "the derivative is removed", func() bool {
		_, err := st.pictures.Open(t.Context(), name)
		return errors.Is(err, fs.ErrNotExist) && st.scalar(t, removed) == 0
	})
}
