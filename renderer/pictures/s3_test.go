package pictures_test

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
)

// An original is read at any place, also one of a bucket, and says of itself what it is.
func TestOpenOriginal(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		store, data := open(), jpegOf(t, landscape(700, 500))
		id := pictures.ID(data)
		if err := store.Put(t.Context(), id, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		o, err := pictures.OpenOriginal(t.Context(), store, id)
		if err != nil || o.Size != int64(len(data)) {
			t.Fatal(o, err)
		}
		defer func() { check(t, o.Close()) }()
		if media, extension := o.Type(); media != "image/jpeg" || extension != ".jpg" {
			t.Errorf("type %q, extension %q", media, extension)
		}
		for _, c := range []struct{ at, length int }{
			{0, 1}, {7, 1000}, {len(data) - 5, 5}, {len(data) - 5, 6}, {len(data), 1}, {len(data) + 9, 4},
		} {
			buf := make([]byte, c.length)
			n, err := o.ReadAt(buf, int64(c.at))
			want := data[min(c.at, len(data)):min(c.at+c.length, len(data))]
			if !bytes.Equal(buf[:n], want) || n < c.length && !errors.Is(err, io.EOF) || n == c.length && err != nil &&
				!errors.Is(err, io.EOF) {
				t.Errorf("%d bytes at %d: %d bytes, %v", c.length, c.at, n, err)
			}
		}
		if _, err := pictures.OpenOriginal(t.Context(), store, pictures.ID(nil)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is no such original: %v", err)
		}
	})
}

// List goes on behind any file, and passes over all that is no file of the store.
func TestList(t *testing.T) {
	t.Parallel()
	inFiles(t, func(t *testing.T, open func() pictures.Files) {
		store := open()
		var want []string
		for _, content := range []string{"a", "b", "c", "d"} {
			id := pictures.ID([]byte(content))
			for _, name := range []string{id, pictures.DerivativeName(id, 320), pictures.DraftName(id)} {
				if err := store.Put(t.Context(), name, strings.NewReader(content)); err != nil {
					t.Fatal(err)
				}
				want = append(want, name)
			}
		}
		u := pictures.Upload{User: 7, ID: uploadID}
		if err := store.Begin(t.Context(), u, 5); err != nil {
			t.Fatal(err)
		}
		if err := store.Write(t.Context(), u, 0, []byte("piece")); err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		for n := range len(want) + 1 {
			after := ""
			if n > 0 {
				after = want[n-1]
			}
			if got := listed(t, store, after); !slices.Equal(got, want[n:]) {
				t.Errorf("behind %q: %v, want %v", after, got, want[n:])
			}
		}
		files, size, err := store.Size(t.Context(), want[0][:26])
		if files != 3 || size != 3 || err != nil {
			t.Errorf("an original has %d files of %d bytes (%v), want 3 of 3", files, size, err)
		}
	})
}

// bucketOn opens a bucket on a server of its own.
func bucketOn(t testing.TB) (*testenv.S3, pictures.Files) {
	t.Helper()
	server := testenv.NewS3(t)
	return server, openFiles(t, server.Bucket(t))
}

// A piece whose bytes are not those that were sent counts as missing, and is taken again.
func TestBucketFindsDamage(t *testing.T) {
	t.Parallel()
	server, store := bucketOn(t)
	data := file(2)
	for name, damage := range map[string]func(all []byte) []byte{
		"short":   func(all []byte) []byte { return all[:pictures.MaxPiece-1] },
		"one bit": func(all []byte) []byte { all[1000] ^= 1; return all },
	} {
		u := pictures.Upload{User: int64(len(name)), ID: uploadID}
		if err := store.Begin(t.Context(), u, int64(len(data))); err != nil {
			t.Fatal(err)
		}
		for _, offset := range []int64{0, pictures.MaxPiece} {
			if err := stage(t.Context(), store, u, data, offset); err != nil {
				t.Fatal(err)
			}
		}
		found, err := filepath.Glob(filepath.Join(server.BucketDir("*"), "staging", "*", "000"))
		if err != nil || len(found) == 0 {
			t.Fatal(found, err)
		}
		for _, path := range found {
			all, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, damage(all), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := assembled(t, store, u, int64(len(data))); !errors.Is(err, pictures.ErrMissingPiece) {
			t.Errorf("%s: %v, want ErrMissingPiece", name, err)
		}
		if n, err := store.Stored(t.Context(), u); err != nil || n != 0 {
			t.Errorf("%s: %d bytes count as stored (%v)", name, n, err)
		}
		if err := stage(t.Context(), store, u, data, 0); err != nil {
			t.Fatal(err)
		}
		if got, err := assembled(t, store, u, int64(len(data))); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: sent again: %d bytes, %v", name, len(got), err)
		}
		if err := store.Discard(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
}

// A piece that arrived while its upload was discarded is found, and goes.
func TestBucketFindsPiecesLeftBehind(t *testing.T) {
	t.Parallel()
	server, store := bucketOn(t)
	data, u := file(1), pictures.Upload{User: 7, ID: uploadID}
	if err := store.Begin(t.Context(), u, 0); err != nil {
		t.Fatal(err)
	}
	if err := stage(t.Context(), store, u, data, 0); err != nil {
		t.Fatal(err)
	}
	begun, err := filepath.Glob(filepath.Join(server.BucketDir("*"), "staging", "*", "begun"))
	if err != nil || len(begun) != 1 {
		t.Fatal(begun, err)
	}
	if err := os.Remove(begun[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Stored(t.Context(), u); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it counts as begun: %v", err)
	}
	for _, want := range [][]pictures.Upload{{u}, nil} {
		all, err := store.Staged(t.Context())
		if err != nil || !slices.Equal(all, want) {
			t.Errorf("staged: %v (%v), want %v", all, err, want)
		}
		if err := store.Discard(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
}

// A server that is killed while files are put has each of them whole, or not at all, and all that it confirmed.
func TestBucketServerKilled(t *testing.T) {
	t.Parallel()
	server, store := bucketOn(t)
	const writers = 4
	content := func(id string) []byte { return bytes.Repeat([]byte(id), 40_000) } // 1 MB
	confirmed := make([][]string, writers)
	enough := make(chan struct{}, 1)
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for i := 0; ; i++ {
				id := pictures.ID([]byte{byte(w), byte(i)})
				if err := store.Put(t.Context(), id, bytes.NewReader(content(id))); err != nil {
					if !errors.Is(err, pictures.ErrUnavailable) {
						return err
					}
					return nil
				}
				if confirmed[w] = append(confirmed[w], id); i == 2 {
					select {
					case enough <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	<-enough
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the store is used again", func() bool {
		_, _, err := store.Size(t.Context(), pictures.ID(nil))
		return err == nil
	})
	all := listed(t, store, "")
	for _, id := range all {
		if !bytes.Equal(readStored(t, store, id), content(id)) {
			t.Errorf("%s is not what was put", id)
		}
	}
	for _, id := range slices.Concat(confirmed...) {
		if !slices.Contains(all, id) {
			t.Errorf("%s was confirmed, and is lost", id)
		}
	}
}

// A server that fails is not one without the picture. After some failures it is left alone for a while.
func TestBucketAway(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var well atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if !well.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, emptyList)
	}))
	t.Cleanup(server.Close)
	store := openFiles(t, "s3://away?region=r&endpoint="+server.URL)
	bucket := store.(*pictures.Bucket)
	var told []bool
	bucket.OnOutage(func(away bool, why error) {
		if told = append(told, away); away != (why != nil) {
			t.Errorf("away: %t, because of %v", away, why)
		}
	})
	use := func() error {
		_, _, err := store.Size(t.Context(), pictures.ID(nil))
		return err
	}
	testenv.Eventually(t, "the server is not asked", func() bool {
		before := asked.Load()
		if err := use(); !errors.Is(err, pictures.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
		return asked.Load() == before
	})
	if !bucket.Away() {
		t.Error("it is not away")
	}
	well.Store(true)
	testenv.Eventually(t, "the store is used again", func() bool { return use() == nil })
	if bucket.Away() || !slices.Equal(told, []bool{true, false}) {
		t.Errorf("away: %t, told %v", bucket.Away(), told)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 20 {
		if _, _, err := store.Size(ctx, pictures.ID(nil)); !errors.Is(err, context.Canceled) {
			t.Fatalf("nobody waits any more: %v", err)
		}
	}
	if err := use(); err != nil {
		t.Errorf("the store is left alone for what was no failure: %v", err)
	}
}

const emptyList = `<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>`

// A server that does not answer keeps nobody waiting for ever.
func TestBucketFrozen(t *testing.T) {
	t.Parallel()
	server, store := bucketOn(t)
	if err := server.Freeze(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), pictures.ID(nil)); !errors.Is(err, pictures.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if err := server.Thaw(); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the store is used again", func() bool {
		_, err := store.Open(t.Context(), pictures.ID(nil))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// The certificates that sign the server's are those of a file.
func TestBucketTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, emptyList)
	}))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	authorities := filepath.Join(t.TempDir(), "ca.pem")
	signed := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authorities, signed, 0o600); err != nil {
		t.Fatal(err)
	}
	for ca, trusted := range map[string]bool{"": false, "&ca=" + authorities: true} {
		store := openFiles(t, "s3://photos?region=r&endpoint="+server.URL+ca)
		if _, _, err := store.Size(t.Context(), pictures.ID(nil)); trusted != (err == nil) {
			t.Errorf("%q: %v", ca, err)
		}
	}
}

// Without its bucket, a server has trouble with everything.
func TestBucketMissing(t *testing.T) {
	t.Parallel()
	server, store := bucketOn(t)
	buckets, err := filepath.Glob(server.BucketDir("*"))
	if err != nil || len(buckets) != 1 {
		t.Fatal(buckets, err)
	}
	if err := os.RemoveAll(buckets[0]); err != nil {
		t.Fatal(err)
	}
	id := pictures.ID(nil)
	_, openErr := store.Open(t.Context(), id)
	_, smallErr := store.Open(t.Context(), pictures.DraftName(id))
	_, _, sizeErr := store.Size(t.Context(), id)
	_, checkErr := store.(*pictures.Bucket).Check(t.Context())
	for what, err := range map[string]error{"an original": openErr, "a draft": smallErr, "its size": sizeErr,
		"check": checkErr, "put": store.Put(t.Context(), id, strings.NewReader("x"))} {
		if !errors.Is(err, pictures.ErrUnavailable) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want ErrUnavailable", what, err)
		}
	}
}

// A server without room says so, however it calls that.
func TestBucketFull(t *testing.T) {
	t.Parallel()
	for _, answer := range []struct {
		status int
		code   string
	}{{507, "NoSpaceLeftOnDevice"}, {403, "QuotaExceeded"}, {507, "XMinioStorageFull"}} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(answer.status)
			_, _ = io.WriteString(w, "<Error><Code>"+answer.code+"</Code></Error>")
		}))
		store := openFiles(t, "s3://full?region=r&endpoint="+server.URL)
		if err := store.Put(t.Context(), pictures.ID(nil), strings.NewReader("x")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v: %v, want ENOSPC", answer, err)
		}
		server.Close()
	}
}

// A location that cannot be right is refused when it is opened, with a reason. Nobody writes keys into one.
func TestLocations(t *testing.T) {
	t.Parallel()
	for location, problem := range map[string]string{
		"s3://": `has "" for the name`, "s3://key:secret@bucket": "AWS_ACCESS_KEY_ID",
		"s3://photos?endpoint=host:9000":                 "not the https:// or http:// address",
		"s3://photos?endpoint=https://host/path":         "not the https:// or http:// address",
		"s3://photos?path-style=sometimes":               "neither true nor false",
		"s3://photos?secret=x":                           `has "secret"`,
		"s3://photos?ca=/no/such/file":                   "no such file",
		"s3://photos\n":                                  "is none",
		"s3://photos?endpoint=https://host&ca=/dev/null": "no certificate",
	} {
		if _, err := pictures.OpenFiles(location); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: %v, want %q", location, err, problem)
		}
	}
	for _, location := range []string{
		"s3://photos", "s3://photos/p/q?region=eu-central-1", "s3://photos?endpoint=http://[::1]:9000&path-style=false",
	} {
		if _, err := pictures.OpenFiles(location); err != nil {
			t.Errorf("%q: %v", location, err)
		}
	}
}

// More files, and more uploads, than one answer of the server lists are all found.
func TestBucketOfMany(t *testing.T) {
	t.Parallel()
	server, store := bucketOn(t)
	buckets, err := filepath.Glob(server.BucketDir("*"))
	if err != nil || len(buckets) != 1 {
		t.Fatal(buckets, err)
	}
	const many = 1100 // files behind the server's back, which is faster
	var names []string
	var uploads []pictures.Upload
	for i := range many {
		id := pictures.ID([]byte{byte(i), byte(i >> 8)})
		names, uploads = append(names, id), append(uploads, pictures.Upload{User: 7, ID: id})
		for _, path := range []string{id[:2] + "/" + id, "staging/7-" + id + "/begun"} {
			path = filepath.Join(buckets[0], path)
			err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("5"), 0o600))
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(names)
	if got := listed(t, store, ""); !slices.Equal(got, names) {
		t.Errorf("%d files are listed, not the %d", len(got), many)
	}
	if got := listed(t, store, names[900]); !slices.Equal(got, names[901:]) {
		t.Errorf("behind 901 of them there are %d", len(got))
	}
	staged, err := store.Staged(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range [][]pictures.Upload{staged, uploads} {
		slices.SortFunc(all, func(a, b pictures.Upload) int { return strings.Compare(a.ID, b.ID) })
	}
	if !slices.Equal(staged, uploads) {
		t.Errorf("%d uploads are staged, not the %d", len(staged), many)
	}
}

// A piece is on its way to the server while the length of its file is asked for: it takes the time of one request. One
// that has no place in the file does not stay.
func TestBucketTakesPiecesAtOnce(t *testing.T) {
	t.Parallel()
	asked, stored := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	location := testenv.S3Behind(t, testenv.S3Bucket(t), func(pass http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if held.Load() {
				mine, other := asked, stored
				if r.Method == http.MethodPut {
					mine, other = stored, asked
				}
				close(mine)
				select {
				case <-other:
				case <-r.Context().Done():
				}
			}
			pass.ServeHTTP(w, r)
		})
	})
	store := openFiles(t, location)
	u, data := pictures.Upload{User: 7, ID: uploadID}, file(2)
	if err := store.Begin(t.Context(), u, int64(len(data))); err != nil {
		t.Fatal(err)
	}
	held.Store(true)
	if err := stage(t.Context(), store, u, data, 0); err != nil {
		t.Fatalf("each of two requests waited for the other: %v", err)
	}
	held.Store(false)
	if err := store.Write(t.Context(), u, pictures.MaxPiece, data[:7]); !errors.Is(err, pictures.ErrBadPiece) {
		t.Errorf("7 bytes in the place of the last piece: %v", err)
	}
	if n, err := store.Stored(t.Context(), u); n != pictures.MaxPiece || err != nil {
		t.Errorf("%d bytes are stored (%v), want those of the first piece", n, err)
	}
}
