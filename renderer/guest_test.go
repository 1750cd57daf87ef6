package renderer

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// guestSender is a file that a guest adds to ansel's album.
type guestSender struct {
	*guest
	owner int64
	id    string
	data  []byte
}

func (u *guestSender) ask(verb string, header nats.Header, data []byte) (*nats.Msg, error) {
	u.t.Helper()
	if header == nil {
		header = nats.Header{}
	}
	header.Set(wire.HeaderShare, u.share.ID())
	header[wire.HeaderGrant] = []string{u.grant}
	s := &sender{site: u.st, user: u.owner, id: u.id}
	return s.ask(u.t, verb, header, data)
}

func (u *guestSender) create(name string) error {
	u.t.Helper()
	data, err := wire.UploadFile{Name: name, Bytes: int64(len(u.data)), Guest: "Mia\x00 <b> \u200b"}.Encode()
	if err != nil {
		u.t.Fatal(err)
	}
	_, err = u.ask(wire.UploadCreate, nil, data)
	return err
}

func (u *guestSender) chunk(offset int) error {
	u.t.Helper()
	_, err := u.ask(wire.UploadChunk, nats.Header{wire.HeaderOffset: {strconv.Itoa(offset)}},
		u.data[offset:min(offset+wire.MaxChunk, len(u.data))])
	return err
}

func (u *guestSender) finish() (*nats.Msg, error) {
	u.t.Helper()
	return u.ask(wire.UploadFinish, nil, strconv.AppendInt(nil, int64(len(u.data)), 10))
}

// add sends the whole file, and returns the photo that it becomes.
func (u *guestSender) add(name string) int64 {
	u.t.Helper()
	err := u.create(name)
	for offset := 0; err == nil && offset < len(u.data); offset += wire.MaxChunk {
		err = u.chunk(offset)
	}
	var reply *nats.Msg
	if err == nil {
		reply, err = u.finish()
	}
	if err != nil {
		u.t.Fatal(err)
	}
	if reply.Header.Get(wire.HeaderDuplicate) != "" {
		u.t.Error("a guest hears of a duplicate")
	}
	photo, err := strconv.ParseInt(reply.Header.Get(wire.HeaderPhoto), 10, 64)
	if err != nil {
		u.t.Fatal(err)
	}
	return photo
}

// isRefused checks that a guest hears this, and nothing else.
func isRefused(t *testing.T, what string, err error, problem string) {
	t.Helper()
	if refused, ok := errors.AsType[*wire.InputError](err); !ok || refused.Problem != problem {
		t.Errorf("%s: %v, want %q", what, err, problem)
	}
}

// TestGuestUpload: whoever has a link that lets people add photos adds some, which the album shows by the link at once,
// and nobody else sees. The owner sees whose they are, and how they came.
func TestGuestUpload(t *testing.T) {
	t.Parallel()
	st, ansel, dorothea := shareSite(t)
	link, id := ansel.share("album", "album", "1", "adds", "1")
	g := &guest{st: st, t: t, share: link}
	shown, err := g.see(wire.ShareRequest{Add: true, Key: "the key", Guest: "Mia", Uploads: []wire.UploadLine{
		{Name: "<one>", Photo: 7, Duplicate: true}, {Name: "two", Problem: "It is no picture."}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`action="` + link.Path() + `/add"`, `data-files="` + link.Path() + `/add/files"`,
		`name="key" value="the key"`, `value="Mia"`, `href="` + link.Path() + `/7"`, "&lt;one&gt;", "It is no picture.",
		"/upload.", "noindex"} {
		if !bytes.Contains(shown.Body, []byte(want)) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, not := range []string{"data-events", "already", "/photo/", "og:url"} {
		if bytes.Contains(shown.Body, []byte(not)) {
			t.Errorf("the page has %s", not)
		}
	}
	if shown, err := g.see(wire.ShareRequest{}); err != nil ||
		!bytes.Contains(shown.Body, []byte(`href="`+link.Path()+`/add"`)) {
		t.Errorf("the album leads nowhere: %v", err)
	}
	may := g.send(wire.SubjectSharePage, "none", []byte(`{"exists":true,"add":true}`))
	if wire.ErrorOf(may) != nil || may.Header.Get(wire.HeaderUser) != "1" {
		t.Errorf("who may add: %v", may.Header)
	}

	u := &guestSender{g, 1, uploadNamed("a"), photoFile(t, wire.MaxChunk+77)}
	photo := u.add("The lake.jpg")
	if by, err := g.see(wire.ShareRequest{Photo: photo}); err != nil || texts(t, by, "h1")[0] != "The lake" {
		t.Errorf("by the link: %v", err)
	}
	if reply := st.get(t, page.Photo(photo)); reply.Status != 404 {
		t.Errorf("everybody: %d", reply.Status)
	}
	seen, err := ansel.ask(page.OwnPhoto(photo), wire.PrivateRequest{})
	if err != nil || !bytes.Contains(seen.Body, []byte("From Mia &lt;b&gt;</bdi>, by a link")) ||
		!bytes.Contains(seen.Body, []byte("/me/photos?link="+id)) {
		t.Errorf("its owner sees %s", seen.Body)
	}
	for _, query := range [][]string{{"link", id}, {"guests", "1"}} {
		_, list := ansel.list(page.PrivatePhotos, query...)
		if n := len(texts(t, list, ".grid li")); n != 1 || !bytes.Contains(list.Body, []byte("From Mia &lt;b&gt;")) {
			t.Errorf("%v lists %d photos", query, n)
		}
	}
	if _, list := dorothea.list(page.PrivatePhotos, "link", id); len(texts(t, list, ".grid li")) != 0 {
		t.Error("another sees what came by the link")
	}
	binned := ansel.do(wire.ActionOwnPhotos, "bin", "photos", fmt.Sprint(photo), "do", "bin")
	if err := wire.ErrorOf(binned); err != nil {
		t.Error(err)
	}
	if _, err := g.see(wire.ShareRequest{Photo: photo}); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("one that its owner deleted: %v", err)
	}
}

// TestGuestIsRefused: a link lets nobody add photos unless its owner says so, and without its password; it takes no
// upload of another, and none of the owner's. Once it is revoked not even the next chunk is taken.
func TestGuestIsRefused(t *testing.T) {
	t.Parallel()
	st, ansel, dorothea := shareSite(t)
	shows, showsID := ansel.share("shows", "album", "1")
	open, openID := ansel.share("open", "album", "1", "adds", "1")
	locked, _ := ansel.share("locked", "album", "1", "adds", "1", "password", "open the valley")
	data := photoFile(t, 2*wire.MaxChunk+77)
	by := func(share page.Share, id string) *guestSender {
		return &guestSender{&guest{st: st, t: t, share: share}, 1, uploadNamed(id), data}
	}
	if reply := ansel.do(wire.ActionShare, "photo", "photo", "1", "adds", "1"); reply.Header.Get(
		wire.HeaderStatus) != "422" {
		t.Errorf("a link to a photo lets people add: %v", reply.Header)
	}
	isRefused(t, "a link that only shows", by(shows, "a").create("a.jpg"), problemNoAdding)
	isRefused(t, "no link", by(page.Share{Token: page.ShareToken([16]byte{9})}, "a").create("a.jpg"), problemNoAdding)
	isRefused(t, "without the password", by(locked, "a").create("a.jpg"), problemNoPassword)
	other := by(open, "a")
	other.owner = 2
	isRefused(t, "to another person", other.create("a.jpg"), problemNoAdding)
	_, err := (&guest{st: st, t: t, share: shows}).see(wire.ShareRequest{Add: true})
	if !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a page to add by a link that only shows: %v", err)
	}
	if form, err := (&guest{st: st, t: t, share: locked}).see(wire.ShareRequest{Add: true}); err != nil ||
		len(texts(t, form, "input[type=password]")) != 1 || bytes.Contains(form.Body, []byte("Yosemite")) {
		t.Errorf("without the password: %v, %s", err, form.Body)
	}
	for share, want := range map[page.Share]string{shows: problemNoAdding, locked: problemNoPassword} {
		may := (&guest{st: st, t: t, share: share}).send(wire.SubjectSharePage, "none",
			[]byte(`{"exists":true,"add":true}`))
		isRefused(t, "may add", wire.ErrorOf(may), want)
		if may.Header.Get(wire.HeaderUser) != "" {
			t.Error("it says whose the link is")
		}
	}

	g := &guest{st: st, t: t, share: locked}
	g.grant = g.open("right", "open the valley").Header.Get(wire.HeaderGrant)
	let := &guestSender{g, 1, uploadNamed("b"), data}
	if err := let.create("b.jpg"); err != nil {
		t.Fatalf("with the password: %v", err)
	}
	own := st.newSender(t, "own", data)
	if err := own.create(t, wire.UploadFile{Name: "own.jpg", Bytes: int64(len(data))}); err != nil {
		t.Fatal(err)
	}
	for what, u := range map[string]*guestSender{"another link's": by(open, "b"), "the owner's": by(open, "own")} {
		for _, verb := range []string{wire.UploadState, wire.UploadCancel} {
			_, err := u.ask(verb, nil, nil)
			isRefused(t, what+" "+verb, err, problemNoAdding)
		}
		isRefused(t, what+" create", u.create("x.jpg"), problemNoAdding)
		isRefused(t, what+" chunk", u.chunk(0), problemNoAdding)
		_, err := u.finish()
		isRefused(t, what+" finish", err, problemNoAdding)
	}
	let.grant = "made up"
	isRefused(t, "a chunk without the password", let.chunk(0), problemNoPassword)

	u := by(open, "c")
	for _, err := range []error{u.create("c.jpg"), u.chunk(0)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	theft := dorothea.do(wire.ActionShareAdd, "theft", "stop", openID)
	if theft.Header.Get(wire.HeaderStatus) != "422" {
		t.Errorf("another stops a link: %v", theft.Header)
	}
	if err := u.chunk(wire.MaxChunk); err != nil {
		t.Fatal(err)
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionShareAdd, "stop", "stop", openID)); err != nil {
		t.Fatal(err)
	}
	isRefused(t, "the next chunk", u.chunk(2*wire.MaxChunk), problemNoAdding)
	_, err = u.finish()
	isRefused(t, "the end", err, problemNoAdding)
	if err := wire.ErrorOf(ansel.do(wire.ActionShareAdd, "let", "let", openID)); err != nil {
		t.Fatal(err)
	}
	if err := u.chunk(2 * wire.MaxChunk); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("what was ended goes on: %v", err)
	}
	_, err = u.finish()
	isRefused(t, "the end, once people may add again", err, problemNoAdding)
	if err := wire.ErrorOf(ansel.do(wire.ActionShareAdd, "let-shows", "let", showsID)); err != nil {
		t.Fatal(err)
	}
	if err := by(shows, "d").create("d.jpg"); err != nil {
		t.Errorf("a link that lets people add later: %v", err)
	}
	if n := st.scalar(t, "SELECT count(*) FROM guest_photos"); n != 0 {
		t.Errorf("%d photos were added", n)
	}
}

// TestGuestName: what a guest is called is one line that can be seen.
func TestGuestName(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"": "", "  Mia\n of  \tthe lake ": "Mia of the lake", "\u202eaiM\u200b": "aiM", "\u2800\u3164": "",
		strings.Repeat("海", 70): strings.Repeat("海", 60), "\xff<b>": "<b>",
		strings.Repeat("x", 59) + " y": strings.Repeat("x", 59),
	} {
		if got := guestName(typed); got != want {
			t.Errorf("%q: %q, want %q", typed, got, want)
		}
	}
}
