package renderer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/password"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// sender sends one file.
type sender struct {
	*site
	user int64
	id   string
	data []byte
}

// newSender gives a file to upload by ansel, who has an account from then on.
func (st *site) newSender(t testing.TB, id string, data []byte) *sender {
	t.Helper()
	const account = "INSERT INTO accounts (user_id, password) VALUES (1, $1) ON CONFLICT DO NOTHING"
	if _, err := st.pool.Exec(t.Context(), account, accountHash()); err != nil {
		t.Fatal(err)
	}
	return &sender{st, 1, uploadNamed(id), data}
}

// accountHash is that of the password "a walk to the lake".
var accountHash = sync.OnceValue(func() string { return password.Hash("a walk to the lake", "key") })

func uploadNamed(id string) string { return (id + strings.Repeat("z", 26))[:26] }

func (u *sender) ask(t testing.TB, verb string, header nats.Header, data []byte) (*nats.Msg, error) {
	t.Helper()
	subject := wire.UploadSubject(verb, u.user, u.id)
	reply, err := u.nc.RequestMsg(&nats.Msg{Subject: subject, Header: header, Data: data}, 20*time.Second)
	if err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
	return reply, wire.ErrorOf(reply)
}

func (u *sender) create(t testing.TB, file wire.UploadFile) error {
	t.Helper()
	data, err := file.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = u.ask(t, wire.UploadCreate, nil, data)
	return err
}

func (u *sender) chunk(t testing.TB, offset int, data []byte) error {
	t.Helper()
	_, err := u.ask(t, wire.UploadChunk, nats.Header{wire.HeaderOffset: {strconv.Itoa(offset)}}, data)
	return err
}

// send creates the upload and sends all chunks.
func (u *sender) send(t testing.TB, name string) {
	t.Helper()
	if err := u.create(t, wire.UploadFile{Name: name, Bytes: int64(len(u.data))}); err != nil {
		t.Fatal(err)
	}
	u.sendChunks(t)
}

func (u *sender) sendChunks(t testing.TB) {
	t.Helper()
	for offset := 0; offset < len(u.data); offset += wire.MaxChunk {
		if err := u.chunk(t, offset, u.data[offset:min(offset+wire.MaxChunk, len(u.data))]); err != nil {
			t.Fatalf("chunk at %d: %v", offset, err)
		}
	}
}

func (u *sender) finish(t testing.TB) (*nats.Msg, error) {
	t.Helper()
	return u.ask(t, wire.UploadFinish, nil, strconv.AppendInt(nil, int64(len(u.data)), 10))
}

// finished is the photo that the upload becomes.
func (u *sender) finished(t testing.TB) int64 {
	t.Helper()
	reply, err := u.finish(t)
	if err != nil {
		t.Fatal(err)
	}
	photo, err := strconv.ParseInt(reply.Header.Get(wire.HeaderPhoto), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return photo
}

func (u *sender) state(t testing.TB) wire.UploadStatus {
	t.Helper()
	return u.status(t, wire.UploadState)
}

// status is the answer to a request that is answered with one.
func (u *sender) status(t testing.TB, verb string) wire.UploadStatus {
	t.Helper()
	reply, err := u.ask(t, verb, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	state, err := wire.DecodeUpload[wire.UploadStatus](reply.Data)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// stages collects the events of the upload. A stage that comes again is there once: a finish that is repeated tells
// "live" again, perhaps after "thumbnails".
func (u *sender) stages(t testing.TB) func() string {
	t.Helper()
	var mu sync.Mutex
	var all []string
	_, err := u.nc.Subscribe(wire.UploadEventSubject(u.user, u.id), func(m *nats.Msg) {
		event, err := wire.DecodeUpload[wire.UploadEvent](m.Data)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case slices.Contains(all, event.Stage):
		case event.Stage == wire.UploadReceived: // it is published after the answer, so it may come late
			all = slices.Insert(all, 0, event.Stage)
		default:
			all = append(all, event.Stage)
		}
	})
	if err = errors.Join(err, u.nc.Flush()); err != nil {
		t.Fatal(err)
	}
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, " ")
	}
}

// photoFile is a JPEG of some bytes more than its pixels take: they follow its end, where they do no harm.
func photoFile(t testing.TB, length int) []byte {
	t.Helper()
	data := landscape(t, 700, 400)
	return append(data, make([]byte, max(0, length-len(data)))...)
}

// TestUpload: chunks go to two renderers in any order, and each twice. The photo is on pages when finish has answered,
// its derivatives and its colour follow, and every repetition answers the same.
func TestUpload(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	first := st.start(t, func(c *Config) { c.Uploads = testenv.ConnectAs(t, st.url, wire.RoleRenderer) })
	st.start(t, nil)
	u := st.newSender(t, "a", photoFile(t, 4*wire.MaxChunk+77))
	stages := u.stages(t)
	for range 2 {
		if err := u.create(t, wire.UploadFile{Name: `C:\photos\The lake.jpeg`, Bytes: int64(len(u.data))}); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{3, 1, 0, 0, 4, 3} {
		offset := n * wire.MaxChunk
		if err := u.chunk(t, offset, u.data[offset:min(offset+wire.MaxChunk, len(u.data))]); err != nil {
			t.Fatal(err)
		}
	}
	if state := u.state(t); state != (wire.UploadStatus{Bytes: int64(len(u.data)), Offset: 2 * wire.MaxChunk}) {
		t.Errorf("state before the third chunk: %+v", state)
	}
	if _, err := u.finish(t); !errors.Is(err, wire.ErrConflict) {
		t.Errorf("finish before the third chunk: %v", err)
	}
	u.sendChunks(t)

	before := st.get(t, page.User("ansel"))
	reply, err := u.finish(t)
	if err != nil {
		t.Fatal(err)
	}
	photo := changed(t, reply)
	shown := st.get(t, page.User("ansel"))
	scopes := scopesOf(shown)
	if photo[0].Scope != "user.ansel" || photo[0].Version != scopes["user.ansel"] ||
		photo[0].Version <= scopesOf(before)["user.ansel"] {
		t.Errorf("changed: %+v, the page shows %v", photo, scopes)
	}
	id := reply.Header.Get(wire.HeaderPhoto)
	if len(photo) != 2 || photo[1].Scope != "photo."+id || reply.Header.Get(wire.HeaderDuplicate) != "" {
		t.Errorf("reply to finish: %+v, header %v", photo, reply.Header)
	}
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if titles := texts(t, st.get(t, page.Photo(number)), "h1"); !slices.Contains(titles, "The lake") {
		t.Errorf("the photo's page has the titles %q", titles)
	}
	again, err := u.finish(t)
	if err != nil || !bytes.Equal(again.Data, reply.Data) || again.Header.Get(wire.HeaderPhoto) != id ||
		again.Header.Get(wire.HeaderDuplicate) != "" {
		t.Errorf("finished again: %q, header %v (%v)", again.Data, again.Header, err)
	}
	image := pictures.ID(u.data)
	testenv.Eventually(t, "the derivatives are made, and the colour is known", func() bool {
		return stages() == "received checked stored live thumbnails" && st.scalar(t,
			"SELECT count(*) FROM photos WHERE image_id = $1 AND color <> $2", image, pictures.Undecoded) == 1 &&
			st.scalar(t, "SELECT count(*) FROM unmade_pictures") == 0
	})
	for _, width := range []int{320, 640, 1280} {
		if _, err := pictures.Stored(t.Context(), st.pictures, image, page.StoredWidth(width, 700)); err != nil {
			t.Errorf("at %d: %v", width, err)
		}
	}
	whole := wire.UploadStatus{Bytes: int64(len(u.data)), Offset: int64(len(u.data)), Photo: number}
	if state := u.state(t); state != whole {
		t.Errorf("state at the end: %+v, want %+v", state, whole)
	}
	if err := u.chunk(t, 0, u.data[:wire.MaxChunk]); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a chunk after the end: %v", err)
	}
	if state := u.status(t, wire.UploadCancel); state != whole || u.state(t) != whole {
		t.Errorf("cancelled after the end: %+v, then %+v", state, u.state(t))
	}
	if got := counted(t, first.metrics.uploadBytes); got == 0 {
		t.Error("no bytes of uploads are counted")
	}
}

// TestUploadRefusesRequests that are no part of an upload of this user.
func TestUploadRefusesRequests(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	u := st.newSender(t, "a", photoFile(t, wire.MaxChunk+100))
	u.send(t, "a.jpg")
	other := *u
	other.user = 2
	unknown := *u
	unknown.id = uploadNamed("b")
	for what, s := range map[string]*sender{"another user's": &other, "unknown": &unknown} {
		_, finish := s.finish(t)
		_, state := s.ask(t, wire.UploadState, nil, nil)
		for verb, err := range map[string]error{"chunk": s.chunk(t, 0, u.data[:wire.MaxChunk]), "finish": finish,
			"state": state} {
			if !errors.Is(err, wire.ErrNotFound) {
				t.Errorf("%s, %s: %v", what, verb, err)
			}
		}
	}
	if err := other.create(t, wire.UploadFile{Name: "a.jpg", Bytes: 5}); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("created by a user without an account: %v", err)
	}
	for offset, size := range map[int]int{1: 100, -wire.MaxChunk: 100, 0: 100, wire.MaxChunk: 99,
		2 * wire.MaxChunk: 100} {
		if err := u.chunk(t, offset, u.data[:size]); !errors.Is(err, wire.ErrBadRequest) {
			t.Errorf("%d bytes at %d: %v", size, offset, err)
		}
	}
	for _, length := range []string{"", "x", "-1", "99999999999", "1e3"} {
		if _, err := u.ask(t, wire.UploadFinish, nil, []byte(length)); !errors.Is(err, wire.ErrBadRequest) {
			t.Errorf("finish of length %q: %v", length, err)
		}
	}
	if _, err := u.ask(t, wire.UploadFinish, nil, []byte("524287")); !errors.Is(err, wire.ErrConflict) {
		t.Errorf("finish of another length: %v", err)
	}
	if err := u.create(t, wire.UploadFile{Bytes: wire.MaxUpload + 1}); !errors.Is(err, wire.ErrBadRequest) {
		t.Errorf("create with a file that is too large: %v", err)
	}

	if state := u.status(t, wire.UploadCancel); !strings.Contains(state.Problem, "cancelled") || state.Photo != 0 {
		t.Errorf("cancelled: %+v", state)
	}
	if err := u.chunk(t, 0, u.data[:wire.MaxChunk]); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a chunk after cancelling: %v", err)
	}
	if _, err := u.finish(t); !errors.Is(err, wire.ErrBadRequest) {
		t.Errorf("finish after cancelling: %v", err)
	}
	if state := u.state(t); !strings.Contains(state.Problem, "cancelled") || state.Photo != 0 {
		t.Errorf("state after cancelling: %+v", state)
	}
	if all, err := st.staging.Staged(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("staged after cancelling: %v (%v)", all, err)
	}
}

// TestUploadOfUnknownLength gets its length by a second create.
func TestUploadOfUnknownLength(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	u := st.newSender(t, "a", photoFile(t, wire.MaxChunk+100))
	for _, length := range []int{0, len(u.data), 0} {
		if err := u.create(t, wire.UploadFile{Name: "a.jpg", Bytes: int64(length)}); err != nil {
			t.Fatal(err)
		}
		if state := u.state(t); length > 0 && state.Bytes != int64(length) {
			t.Errorf("state: %+v", state)
		}
	}
	if err := u.chunk(t, 2*wire.MaxChunk, u.data[:100]); !errors.Is(err, wire.ErrBadRequest) {
		t.Errorf("behind the end that is known by now: %v", err)
	}
	u.sendChunks(t)
	u.finished(t)
	// And one whose length only finish says.
	v := st.newSender(t, "b", photoFile(t, wire.MaxChunk+200))
	if err := v.create(t, wire.UploadFile{Private: true}); err != nil {
		t.Fatal(err)
	}
	v.sendChunks(t)
	reply, err := v.finish(t)
	if err != nil || v.state(t).Bytes != int64(len(v.data)) {
		t.Errorf("%v, state %+v", err, v.state(t))
	}
	if changes := changed(t, reply); len(changes) != 1 || changes[0].Scope != "user.ansel" {
		t.Errorf("a private photo has changed %+v", changes)
	}
	if n := st.scalar(t, "SELECT count(*) FROM photos WHERE private AND id = $1", v.state(t).Photo); n != 1 {
		t.Error("the photo is not private")
	}
}

// TestUploadFinishedAtOnce makes one photo, however often and wherever it is asked for, also of one file by two
// uploads.
func TestUploadFinishedAtOnce(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	st.start(t, nil)
	a, b := st.newSender(t, "a", photoFile(t, 0)), st.newSender(t, "b", photoFile(t, 0))
	a.send(t, "a.jpg")
	b.send(t, "b.jpg")
	var group errgroup.Group
	var mu sync.Mutex
	photos, duplicates := map[string]int{}, map[string]bool{}
	for n := range 12 {
		u := []*sender{a, b}[n%2]
		group.Go(func() error {
			reply, err := u.nc.Request(wire.UploadSubject(wire.UploadFinish, u.user, u.id),
				strconv.AppendInt(nil, int64(len(u.data)), 10), 20*time.Second)
			if err == nil {
				err = wire.ErrorOf(reply)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			photos[reply.Header.Get(wire.HeaderPhoto)]++
			duplicates[u.id+reply.Header.Get(wire.HeaderDuplicate)] = true
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if len(photos) != 1 || len(duplicates) != 2 || duplicates[a.id] == duplicates[b.id] {
		t.Errorf("photos %v, duplicates %v", photos, duplicates)
	}
	if n := st.scalar(t, "SELECT count(*) FROM photos WHERE image_id = $1", pictures.ID(a.data)); n != 1 {
		t.Errorf("%d photos", n)
	}
	if used := st.scalar(t, "SELECT photos FROM quota_use WHERE user_id = 1"); used != 101 {
		t.Errorf("%d photos count for the quota, want 101", used)
	}
	// Another person has the same file: it is stored once, and is a photo of theirs.
	const account = "INSERT INTO accounts (user_id, password) VALUES (2, $1)"
	if _, err := st.pool.Exec(t.Context(), account, accountHash()); err != nil {
		t.Fatal(err)
	}
	c := *a
	c.user = 2
	c.send(t, "c.jpg")
	reply, err := c.finish(t)
	if err != nil || reply.Header.Get(wire.HeaderDuplicate) != "" || photos[reply.Header.Get(wire.HeaderPhoto)] != 0 {
		t.Errorf("another person's: %v, header %v", err, reply.Header)
	}
}

// TestUploadOfWhatIsNoPhoto is refused, with what to do about it, and leaves nothing.
func TestUploadOfWhatIsNoPhoto(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	whole := photoFile(t, 0)
	for name, c := range map[string]struct{ file, says string }{
		"empty":          {"", "empty"},
		"svg":            {`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "SVG"},
		"html":           {"<!DOCTYPE html><script>alert(1)</script>", "web page"},
		"truncated":      {string(whole[:len(whole)/2]), "incomplete"},
		"gif and script": {"GIF89a/*\x00\x04\x01\x00\x00*/=1;alert(1)//", "damaged"},
		"huge gif": {"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00;",
			"65535 x 65535"},
	} {
		u := st.newSender(t, strings.NewReplacer(" ", "").Replace(name), []byte(c.file))
		stages := u.stages(t)
		if err := u.create(t, wire.UploadFile{Name: name}); err != nil {
			t.Fatal(err)
		}
		u.sendChunks(t)
		for range 2 {
			_, err := u.finish(t)
			input, ok := errors.AsType[*wire.InputError](err)
			if !ok || input.Field != "file" || !strings.Contains(input.Problem, c.says) {
				t.Errorf("%s: %v", name, err)
			}
			if state := u.state(t); !ok || state.Problem != input.Problem || state.Photo != 0 {
				t.Errorf("%s: state %+v", name, state)
			}
		}
		testenv.Eventually(t, "the event", func() bool { return strings.HasSuffix(stages(), wire.UploadRefused) })
	}
	if n := st.scalar(t, "SELECT count(*) FROM images"); n != 1 {
		t.Errorf("%d images", n)
	}
	if all, err := st.staging.Staged(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("staged: %v (%v)", all, err)
	}
}

// TestUploadThatCannotBeDecoded is a photo at first, and is removed again: pages do not show it, and its upload says
// why.
func TestUploadThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	data := photoFile(t, 0)
	scan := bytes.Index(data, []byte("\xff\xda"))
	data = append(data[:scan+20], "\xff\xd9"...)
	u := st.newSender(t, "a", data)
	stages := u.stages(t)
	hint := make(chan *nats.Msg, 100)
	if _, err := st.nc.ChanSubscribe(wire.SubjectEarlyInvalidation, hint); err != nil {
		t.Fatal(err)
	}
	u.send(t, "a.jpg")
	id := u.finished(t)
	testenv.Eventually(t, "the photo is removed", func() bool {
		return stages() == "received checked stored live refused"
	})
	if state := u.state(t); state.Photo != 0 || !strings.Contains(state.Problem, "damaged") {
		t.Errorf("state: %+v", state)
	}
	if _, err := u.finish(t); !errors.Is(err, wire.ErrBadRequest) {
		t.Errorf("finished again: %v", err)
	}
	if reply := st.get(t, page.Photo(id)); reply.Status != 404 {
		t.Errorf("its page has status %d", reply.Status)
	}
	gone := fmt.Sprintf("photo.%d", id)
	for found := false; !found; {
		changes, err := wire.DecodeChanges(receive(t, hint).Data)
		if err != nil {
			t.Fatal(err)
		}
		found = slices.ContainsFunc(changes, func(c wire.Change) bool { return c.Scope == gone && c.Gone })
	}
	testenv.Eventually(t, "the original is removed", func() bool {
		_, err := st.pictures.Open(t.Context(), pictures.ID(data))
		return errors.Is(err, fs.ErrNotExist)
	})
}

// TestOwedPicturesAreMade: derivatives that the renderer owes which stored a photo are made by the one that relays.
func TestOwedPicturesAreMade(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	owing := st.start(t, nil)
	for range cap(owing.decoders) { // it decodes nothing from now on
		owing.decoders <- struct{}{}
	}
	u := st.newSender(t, "a", photoFile(t, 0))
	u.send(t, "a.jpg")
	u.finished(t)
	other := st.start(t, nil)
	for other.relay.active.Store(true); ; {
		if _, err := st.pool.Exec(t.Context(), "UPDATE unmade_pictures SET due_at = now(), tries = 1"); err != nil {
			t.Fatal(err)
		}
		if found, err := other.takeDue(t.Context()); err != nil {
			t.Fatal(err)
		} else if found {
			break
		}
	}
	testenv.Eventually(t, "the derivatives are made", func() bool {
		ok, err := pictures.IsStored(t.Context(), st.pictures, pictures.DerivativeName(pictures.ID(u.data), 640))
		return err == nil && ok && st.scalar(t, "SELECT count(*) FROM unmade_pictures") == 0
	})
	for range cap(owing.decoders) {
		<-owing.decoders
	}
}
