package pictures_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

// originalOf is the content of one of the originals of filled.
func originalOf(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 26_000) }

// filled is a store with files, and what is in them.
func filled(t testing.TB, store pictures.Files, originals int) map[string]string {
	t.Helper()
	all := map[string]string{}
	for i := range originals {
		content := originalOf(i)
		id := pictures.ID(content)
		all[id] = string(content)
		all[pictures.DerivativeName(id, 320)] = "small " + id
	}
	for name, content := range all {
		if err := store.Put(t.Context(), name, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func hasAll(t testing.TB, store pictures.Files, all map[string]string) {
	t.Helper()
	if names := listed(t, store, ""); len(names) != len(all) {
		t.Errorf("%d files, want %d", len(names), len(all))
	}
	for name, content := range all {
		if got := readStored(t, store, name); string(got) != content {
			t.Errorf("%s has %d bytes, not its %d", name, len(got), len(content))
		}
	}
}

func ignore(pictures.Copied) {}

// A copy has all files as they are, goes on where another one was cut short, and copies nothing twice.
func TestCopy(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (from, to pictures.Files){
		"into a bucket": func(t *testing.T) (from, to pictures.Files) {
			return openDir(t), openFiles(t, testenv.S3Bucket(t))
		},
		"out of a bucket": func(t *testing.T) (from, to pictures.Files) {
			return openFiles(t, testenv.S3Bucket(t)), openDir(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := open(t)
			all := filled(t, from, 20)
			ctx, cancel := context.WithCancel(t.Context())
			so, err := pictures.Copy(ctx, from, to, func(so pictures.Copied) {
				if so.Files == 5 {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) || so.Files < 5 || so.Files == int64(len(all)) {
				t.Fatalf("cut short: %+v, %v", so, err)
			}
			again, err := pictures.Copy(t.Context(), from, to, ignore)
			if err != nil || again.There < so.Files || again.Files+again.There != int64(len(all)) {
				t.Errorf("run again: %+v, %v, after %+v", again, err, so)
			}
			hasAll(t, to, all)
			if last, err := pictures.Copy(t.Context(), from, to, ignore); err != nil || last.Files != 0 ||
				last.There != int64(len(all)) {
				t.Errorf("with nothing to do: %+v, %v", last, err)
			}
		})
	}
}

// deleting is a place in which each file is put just after it was deleted elsewhere.
type deleting struct {
	pictures.Files
	elsewhere *pictures.Both
	name      string
}

func (d *deleting) Put(ctx context.Context, name string, r io.Reader) error {
	if name == d.name {
		id, _, _ := strings.Cut(name, ".")
		if err := d.elsewhere.Delete(ctx, id); err != nil {
			return err
		}
	}
	return d.Files.Put(ctx, name, r)
}

// A photo that is deleted while its files are copied may leave copies, which are found then, and by each later copy.
func TestCopyOfWhatIsDeleted(t *testing.T) {
	t.Parallel()
	for i, of := range []func(id string) string{
		func(id string) string { return id },
		func(id string) string { return pictures.DerivativeName(id, 320) },
	} {
		from, to := openDir(t), openDir(t)
		all := filled(t, from, 4)
		id := pictures.ID(originalOf(2))
		meanwhile := &deleting{Files: to, elsewhere: pictures.OpenBoth(to, from), name: of(id)}
		so, err := pictures.Copy(t.Context(), from, meanwhile, ignore)
		if err != nil || so.Gone == 0 {
			t.Errorf("%d: %+v, %v", i, so, err)
		}
		for range 2 {
			var ids []string
			for id, err := range pictures.IDs(t.Context(), to) {
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
			}
			if !slices.Contains(ids, id) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
				t.Errorf("%d: the new place has %v, want %s among them", i, ids, id)
			}
			if _, err := pictures.Copy(t.Context(), from, to, ignore); err != nil {
				t.Fatal(err)
			}
		}
		if err := to.Delete(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		delete(all, id)
		delete(all, pictures.DerivativeName(id, 320))
		hasAll(t, to, all)
	}
}

// changing is a place that keeps other bytes than it was given.
type changing struct{ pictures.Files }

func (c changing) Put(ctx context.Context, name string, r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 1
	return c.Files.Put(ctx, name, bytes.NewReader(data))
}

// uploading is a place into which a file is put again just after it was deleted in another.
type uploading struct {
	pictures.Files
	old  pictures.Files
	name string
}

func (u *uploading) Put(ctx context.Context, name string, r io.Reader) error {
	if err := u.Files.Put(ctx, name, r); err != nil || name != u.name {
		return err
	}
	if err := u.old.Delete(ctx, name); err != nil {
		return err
	}
	return u.Files.Put(ctx, name, bytes.NewReader(originalOf(2)))
}

// A photo that is deleted and uploaded again while its file is copied stays.
func TestCopyOfWhatIsUploadedAgain(t *testing.T) {
	t.Parallel()
	from, to := openDir(t), openDir(t)
	filled(t, from, 4)
	id := pictures.ID(originalOf(2))
	if _, err := pictures.Copy(t.Context(), from, &uploading{to, from, id}, ignore); err != nil {
		t.Fatal(err)
	}
	if got := readStored(t, to, id); !bytes.Equal(got, originalOf(2)) {
		t.Errorf("it has %d bytes", len(got))
	}
}

// A copy that is not what it was copied from is an error, and made anew by the next one, as is one of another length.
func TestCopyChecksBytes(t *testing.T) {
	t.Parallel()
	from, to := openDir(t), openDir(t)
	all := filled(t, from, 1)
	if _, err := pictures.Copy(t.Context(), from, changing{to}, ignore); err == nil ||
		!strings.Contains(err.Error(), "other bytes") {
		t.Errorf("changed on the way: %v", err)
	}
	if so, err := pictures.Copy(t.Context(), from, to, ignore); err != nil || so.Files != int64(len(all)) {
		t.Errorf("run again: %+v, %v", so, err)
	}
	hasAll(t, to, all)
	for name := range all {
		if err := to.Put(t.Context(), name, strings.NewReader("half")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pictures.Copy(t.Context(), from, to, ignore); err != nil {
		t.Fatal(err)
	}
	id := pictures.ID(originalOf(0))
	if got := readStored(t, to, id); string(got) != all[id] {
		t.Errorf("an original of another length is still %q", got)
	}
	if got := readStored(t, to, pictures.DerivativeName(id, 320)); string(got) != "half" {
		t.Errorf("a derivative that was made later is %q now", got)
	}
}

// While pictures move, what is in either place is one store, and an upload goes on where it was begun.
func TestBoth(t *testing.T) {
	t.Parallel()
	old, fresh := openDir(t), openDir(t)
	all := filled(t, old, 3)
	data, before, after := file(2), pictures.Upload{User: 1, ID: uploadID}, pictures.Upload{User: 2, ID: uploadID}
	if err := old.Begin(t.Context(), before, int64(len(data))); err != nil {
		t.Fatal(err)
	}
	both := pictures.OpenBoth(fresh, old)
	for _, u := range []pictures.Upload{before, after} {
		if err := both.Begin(t.Context(), u, int64(len(data))); err != nil {
			t.Fatal(err)
		}
		for _, offset := range []int64{0, pictures.MaxPiece} {
			if err := stage(t.Context(), both, u, data, offset); err != nil {
				t.Fatal(err)
			}
		}
		whole, err := both.Assemble(t.Context(), u, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(whole.Keep(t.Context(), both, pictures.ID(data)), whole.Close()); err != nil {
			t.Fatal(err)
		}
	}
	oldStaged, oldErr := old.Staged(t.Context())
	freshStaged, freshErr := fresh.Staged(t.Context())
	if err := errors.Join(oldErr, freshErr); err != nil || !slices.Equal(oldStaged, []pictures.Upload{before}) ||
		!slices.Equal(freshStaged, []pictures.Upload{after}) {
		t.Errorf("staged are %v and %v (%v)", oldStaged, freshStaged, err)
	}
	if got := listed(t, fresh, ""); !slices.Equal(got, []string{pictures.ID(data)}) {
		t.Errorf("the new place has %v, not the new file alone", got)
	}
	all[pictures.ID(data)] = string(data)
	hasAll(t, both, all)
}

// A backup has the originals, also those of which photos were deleted since, and mends one that was cut off.
func TestBackup(t *testing.T) {
	t.Parallel()
	from, to := openDir(t), openDir(t)
	all := filled(t, from, 4)
	originals := map[string]string{}
	for name, content := range all {
		if pictures.ValidID(name) {
			originals[name] = content
		}
	}
	damaged := pictures.ID(originalOf(3))
	if err := to.Put(t.Context(), damaged, strings.NewReader("half of it")); err != nil {
		t.Fatal(err)
	}
	if so, err := pictures.Backup(t.Context(), from, to, ignore); err != nil || so.Files != 4 {
		t.Errorf("the first time: %+v, %v", so, err)
	}
	hasAll(t, to, originals)
	if err := from.Delete(t.Context(), pictures.ID(originalOf(0))); err != nil {
		t.Fatal(err)
	}
	if so, err := pictures.Backup(t.Context(), from, to, ignore); err != nil || so.Files != 0 || so.There != 3 {
		t.Errorf("the second time: %+v, %v", so, err)
	}
	hasAll(t, to, originals)
}
