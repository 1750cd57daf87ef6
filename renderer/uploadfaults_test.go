package renderer

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/wire"
)

// originalsAreDue makes it the time at which originals are removed that uploads have left so far.
func (st *site) originalsAreDue(t testing.TB) {
	t.Helper()
	const due = "UPDATE unused_images SET due_at = now()"
	if _, err := st.pool.Exec(t.Context(), due); err != nil {
		t.Fatal(err)
	}
}

// TestUploadQuota: what would exceed it is refused before a byte is sent, and again when it is finished.
func TestUploadQuota(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	ansel := st.image.Bytes * 100 // what they have
	var quota store.Quota
	set := func(c *Config) { c.QuotaBytes, c.QuotaPhotos = quota.Bytes, quota.Photos }
	quota = store.Quota{Bytes: ansel + 1000, Photos: 1000}
	s := st.start(t, set)
	a, b := st.newSender(t, "a", nil), st.newSender(t, "b", nil)
	if err := a.create(t, wire.UploadFile{Bytes: 600}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // one that is open may be created again
		if err := a.create(t, wire.UploadFile{Bytes: 600}); err != nil {
			t.Error(err)
		}
	}
	err := b.create(t, wire.UploadFile{Bytes: 401})
	if input, ok := errors.AsType[*wire.InputError](err); !ok || !strings.Contains(input.Problem, "Delete some") {
		t.Errorf("more than is left: %v", err)
	}
	if err := b.create(t, wire.UploadFile{}); !errors.Is(err, wire.ErrBadRequest) {
		t.Errorf("of unknown length: %v", err)
	}
	if err := b.create(t, wire.UploadFile{Bytes: 400}); err != nil {
		t.Errorf("as much as is left: %v", err)
	}
	s.stop()

	quota = store.Quota{Bytes: 1 << 40, Photos: 103} // a and b are open
	s = st.start(t, set)
	c, d := st.newSender(t, "c", photoFile(t, 0)), st.newSender(t, "d", photoFile(t, 0))
	c.send(t, "c.jpg")
	if err := d.create(t, wire.UploadFile{Bytes: 5}); !errors.Is(err, wire.ErrBadRequest) {
		t.Errorf("one photo more: %v", err)
	}
	s.stop()
	quota = store.Quota{Photos: 100}
	st.start(t, set)
	_, err = c.finish(t)
	if state := c.state(t); !errors.Is(err, wire.ErrBadRequest) || !strings.Contains(state.Problem, "100 photos") {
		t.Errorf("finished over the quota: %v, state %+v", err, state)
	}
	st.originalsAreDue(t)
	testenv.Eventually(t, "the original is removed", func() bool {
		_, err := st.pictures.Open(t.Context(), pictures.ID(c.data))
		return errors.Is(err, fs.ErrNotExist) && st.scalar(t, "SELECT count(*) FROM images") == 1
	})
}

// TestUploadsOfADeletedAccount: nothing becomes of what was on its way, and nothing is left of it.
func TestUploadsOfADeletedAccount(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	u := st.newSender(t, "a", photoFile(t, 0))
	u.send(t, "a.jpg")
	image := pictures.ID(u.data)
	if _, err := st.pool.Exec(t.Context(), "SELECT reserve_upload(1, $1, $2, 9)", u.id, image); err != nil {
		t.Fatal(err)
	}
	if err := st.pictures.Put(t.Context(), image, bytes.NewReader(u.data)); err != nil {
		t.Fatal(err)
	}
	var outcome string
	const deletion = "SELECT outcome FROM delete_account('k', sha256('a'), 1, $1, sha256('r'), 1, 1)"
	if err := st.pool.QueryRow(t.Context(), deletion, accountHash()).Scan(&outcome); err != nil || outcome != "done" {
		t.Fatal(outcome, err)
	}
	if _, err := u.finish(t); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("finish: %v", err)
	}
	if _, err := s.sweepUploads(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all, err := st.staging.Staged(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("staged: %v (%v)", all, err)
	}
	st.originalsAreDue(t)
	testenv.Eventually(t, "the original is removed", func() bool {
		_, err := st.pictures.Open(t.Context(), image)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// TestSweepUploads removes what is older than a day, and no other.
func TestSweepUploads(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	s := st.start(t, nil)
	old, young := st.newSender(t, "a", photoFile(t, 0)), st.newSender(t, "b", photoFile(t, 0))
	old.send(t, "a.jpg")
	young.send(t, "b.jpg")
	if _, err := st.pool.Exec(t.Context(), "UPDATE uploads SET created_at = now() - interval '25 h' WHERE id = $1",
		old.id); err != nil {
		t.Fatal(err)
	}
	if _, err := s.sweepUploads(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := old.finish(t); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("the old one: %v", err)
	}
	if all, err := st.staging.Staged(t.Context()); err != nil || len(all) != 1 || all[0].ID != young.id {
		t.Errorf("staged: %v (%v)", all, err)
	}
	young.finished(t)
}

// faultyStore fails, once, at one step of a finish, as a renderer does that is killed there.
type faultyStore struct {
	pictures.Store
	pictures.Staging
	mu   sync.Mutex
	step string
}

var errKilled = errors.New("killed here")

func (f *faultyStore) at(step string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.step != step {
		return nil
	}
	f.step = ""
	return errKilled
}

func (f *faultyStore) Assemble(ctx context.Context, u pictures.Upload, length int64) (pictures.Assembled, error) {
	file, err := f.Staging.Assemble(ctx, u, length)
	if err != nil {
		return nil, err
	}
	if err := f.at("assemble"); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &faultyFile{file, f}, nil
}

type faultyFile struct {
	pictures.Assembled
	*faultyStore
}

func (f *faultyFile) Keep(ctx context.Context, _ pictures.Store, id string) error {
	if err := f.at("before keep"); err != nil {
		return err
	}
	return errors.Join(f.Assembled.Keep(ctx, f.Store, id), f.at("after keep"))
}

func (f *faultyStore) Discard(ctx context.Context, u pictures.Upload) error {
	return errors.Join(f.at("discard"), f.Staging.Discard(ctx, u))
}

// TestUploadKilledAnywhere: a finish that ends at any step leaves a photo or an open upload. The next one makes the
// photo; or cancelling removes everything.
func TestUploadKilledAnywhere(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	faulty := &faultyStore{Store: st.pictures, Staging: st.staging}
	st.pictures, st.staging = faulty, faulty
	st.start(t, nil)
	for n, step := range []string{"assemble", "before keep", "after keep", "discard"} {
		data := photoFile(t, 40_000+n)
		u := st.newSender(t, "a"+strings.Repeat("b", n), data)
		u.send(t, "a.jpg")
		faulty.mu.Lock()
		faulty.step = step
		faulty.mu.Unlock()
		_, err := u.finish(t)
		photos := st.scalar(t, "SELECT count(*) FROM photos WHERE image_id = $1", pictures.ID(data))
		if committed := step == "discard"; committed != (err == nil) || committed != (photos == 1) {
			t.Errorf("killed at %q: %v, %d photos", step, err, photos)
		}
		id := u.finished(t)
		const made = "SELECT count(*) FROM photos WHERE image_id = $1 AND id = $2"
		if n := st.scalar(t, made, pictures.ID(data), id); n != 1 {
			t.Errorf("killed at %q: %d photos in the end", step, n)
		}

		data = photoFile(t, 50_000+n)
		v := st.newSender(t, "c"+strings.Repeat("d", n), data)
		v.send(t, "a.jpg")
		faulty.mu.Lock()
		faulty.step = step
		faulty.mu.Unlock()
		if _, err := v.finish(t); (step == "discard") != (err == nil) {
			t.Errorf("killed at %q: %v", step, err)
		}
		if _, err := v.ask(t, wire.UploadCancel, nil, nil); err != nil {
			t.Fatal(err)
		}
		if step != "discard" {
			st.originalsAreDue(t)
			testenv.Eventually(t, "nothing is left", func() bool {
				_, err := st.pictures.Open(t.Context(), pictures.ID(data))
				all, listErr := st.staging.Staged(t.Context())
				return errors.Is(err, fs.ErrNotExist) && listErr == nil && len(all) == 0 && st.scalar(t,
					"SELECT count(*) FROM images WHERE id = $1", pictures.ID(data)) == 0
			})
		}
	}
}

// TestUploadOnAFullDisk says so, and goes on when there is room.
func TestUploadOnAFullDisk(t *testing.T) {
	t.Parallel()
	disk := testenv.NewDisk(t, 8<<10)
	dir, err := pictures.OpenDir(disk.Dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dir.Close() })
	st := newSite(t)
	st.pictures, st.staging = dir, dir
	st.start(t, nil)
	u := st.newSender(t, "a", photoFile(t, wire.MaxChunk+5))
	if err := u.create(t, wire.UploadFile{Name: "a.jpg"}); err != nil {
		t.Fatal(err)
	}
	disk.Fill(t)
	if err := u.chunk(t, 0, u.data[:wire.MaxChunk]); !errors.Is(err, wire.ErrFull) {
		t.Errorf("a chunk on a full disk: %v", err)
	}
	disk.Free(t)
	u.sendChunks(t)
	disk.Fill(t)
	if _, err := u.finish(t); err != nil && !errors.Is(err, wire.ErrFull) { // the original needs a name at most
		t.Errorf("finish on a full disk: %v", err)
	}
	disk.Free(t)
	u.finished(t)
}
