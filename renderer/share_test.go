package renderer

import (
	"bytes"
	"errors"
	"fmt"
	"image/jpeg"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/password"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// guest is a visitor with a link.
type guest struct {
	st    *site
	t     *testing.T
	share page.Share
	grant string
	more  []string // further grants, before grant
}

func (g *guest) send(subject, key string, data []byte) *nats.Msg {
	g.t.Helper()
	header := nats.Header{wire.HeaderShare: {g.share.ID()}, wire.HeaderKey: {key},
		wire.HeaderGrant: append(slices.Clone(g.more), g.grant)}
	reply, err := g.st.nc.RequestMsg(&nats.Msg{Subject: subject, Header: header, Data: data}, 10*time.Second)
	if err != nil {
		g.t.Fatal(err)
	}
	return reply
}

// see asks for a page or a picture.
func (g *guest) see(asked wire.ShareRequest) (*wire.Reply, error) {
	g.t.Helper()
	data, err := asked.Encode()
	if err != nil {
		g.t.Fatal(err)
	}
	subject := wire.SubjectSharePage
	if asked.Width != 0 {
		subject = wire.SubjectSharePicture
	}
	reply := g.send(subject, "none", data)
	return &wire.Reply{Body: reply.Data}, wire.ErrorOf(reply)
}

// open sends the password of a link.
func (g *guest) open(key, secret string) *nats.Msg {
	g.t.Helper()
	return g.send(wire.ActionSubject(wire.ActionShareOpen), key, []byte(encoded("password", secret)))
}

// links asks for the list of a member's links, of which the newest comes first.
func (m *member) links() (shares []page.Share, ids []string, reply *wire.Reply) {
	m.t.Helper()
	_, reply = m.list(page.PrivateShares)
	rest := string(reply.Body)
	for {
		_, after, found := strings.Cut(rest, passkeyOrigin+page.PathShares)
		if !found {
			return shares, ids, reply
		}
		token, after, _ := strings.Cut(after, `"`)
		_, after, _ = strings.Cut(after, `name="end" value="`)
		id, after, _ := strings.Cut(after, `"`)
		shares, ids, rest = append(shares, page.Share{Token: token}), append(ids, id), after
	}
}

// share makes a link, and returns it and its number.
func (m *member) share(key string, pairs ...string) (page.Share, string) {
	m.t.Helper()
	if err := wire.ErrorOf(m.do(wire.ActionShare, key, pairs...)); err != nil {
		m.t.Fatal(err)
	}
	shares, ids, _ := m.links()
	return shares[0], ids[0]
}

// shareSite is a site whose users 1 and 2 have accounts.
func shareSite(t *testing.T) (st *site, ansel, dorothea *member) {
	t.Helper()
	st = newSite(t)
	st.exec(t, "INSERT INTO accounts (user_id, password) SELECT id, '"+password.Hash("a walk", "x")+
		"' FROM users WHERE id < 3")
	st.start(t, nil)
	return st, &member{st: st, t: t, user: 1}, &member{st: st, t: t, user: 2}
}

// TestShareLinks: people make links to their own photos and albums, whoever has one sees what it leads to and nothing
// else, and from its revocation on nothing.
func TestShareLinks(t *testing.T) {
	t.Parallel()
	st, ansel, dorothea := shareSite(t)
	for name, pairs := range map[string][]string{
		"nothing": {}, "both": {"photo", "1", "album", "1"}, "others": {"photo", "101"}, "none": {"photo", "999"},
		"no-album": {"album", "7"}, "days": {"photo", "1", "days", "3"}, "short": {"photo", "1", "password", "secret"},
		"name": {"photo", "1", "name", strings.Repeat("x", 61)},
	} {
		reply := ansel.do(wire.ActionShare, "refused-"+name, pairs...)
		if reply.Header.Get(wire.HeaderStatus) != "422" || ansel.problems(reply) == "" {
			t.Errorf("%s: %v, %q", name, reply.Header, ansel.problems(reply))
		}
	}
	photo, photoID := ansel.share("photo", "photo", "50", "name", "for <mother>")
	album, _ := ansel.share("album", "album", "1", "days", "7")
	if again, _ := ansel.share("album", "album", "1", "days", "7"); again != album {
		t.Error("a form that is sent again makes another link")
	}
	shares, ids, list := ansel.links()
	if len(shares) != 2 || shares[1] != photo || ids[1] != photoID ||
		!slices.Equal(texts(t, list, "main h2"), []string{"Yosemite", "for <mother>"}) ||
		!bytes.Contains(list.Body, []byte("Never used")) || !bytes.Contains(list.Body, []byte("Ends ")) {
		t.Errorf("%d links, %q", len(shares), texts(t, list, "main h2"))
	}
	if shares, _, _ := dorothea.links(); len(shares) != 0 {
		t.Errorf("another sees %d links", len(shares))
	}

	g := &guest{st: st, t: t, share: photo}
	shown, err := g.see(wire.ShareRequest{})
	own := fmt.Sprintf("%s/50/640.jpg", photo.Path())
	if err != nil || !slices.Contains(texts(t, shown, "h1"), "Moonrise 50") ||
		!bytes.Contains(shown.Body, []byte(own)) {
		t.Errorf("the page of a photo: %v", err)
	}
	for _, secret := range []string{"og:url", "og:image", "canonical", "/img/", "/me/pictures", "for &lt;mother"} {
		if bytes.Contains(shown.Body, []byte(secret)) {
			t.Errorf("the page of a photo has %s", secret)
		}
	}
	if !bytes.Contains(shown.Body, []byte(`name="robots" content="noindex"`)) {
		t.Error("search engines may list the page")
	}
	picture, err := g.see(wire.ShareRequest{Photo: 50, Width: 640})
	if im, bad := jpeg.Decode(bytes.NewReader(picture.Body)); err != nil || bad != nil || im.Bounds().Dx() != 640 {
		t.Errorf("the picture: %v, %v", err, bad)
	}
	if _, err := g.see(wire.ShareRequest{Photo: 50, Width: 2560}); err != nil {
		t.Errorf("a picture that is made first: %v", err)
	}
	if _, err := g.see(wire.ShareRequest{Photo: 50, Width: 641}); err == nil {
		t.Error("a picture in any width")
	}
	for _, other := range []int64{49, 51, 101, 999} {
		page, err := g.see(wire.ShareRequest{Photo: other})
		picture, bad := g.see(wire.ShareRequest{Photo: other, Width: 320})
		if !errors.Is(err, wire.ErrNotFound) || !errors.Is(bad, wire.ErrNotFound) ||
			len(page.Body)+len(picture.Body) > 0 {
			t.Errorf("photo %d by a link to another: %v, %v", other, err, bad)
		}
	}

	a := &guest{st: st, t: t, share: album}
	first, err := a.see(wire.ShareRequest{})
	if err != nil || len(texts(t, first, ".grid li")) != 48 ||
		!bytes.Contains(first.Body, []byte(album.Path()+"?after=480")) {
		t.Errorf("the album's first page: %v", err)
	}
	second, err := a.see(wire.ShareRequest{After: 480})
	if err != nil || len(texts(t, second, ".grid li")) != 12 ||
		!bytes.Contains(second.Body, []byte(album.Path()+"/50/640.jpg")) ||
		bytes.Contains(second.Body, []byte(album.Path()+"/51/640.jpg")) ||
		!bytes.Contains(second.Body, []byte(`href="`+album.Path()+`/51"`)) {
		t.Errorf("the album's second page: %v", err)
	}
	inside, err := a.see(wire.ShareRequest{Photo: 50})
	if err != nil || !bytes.Contains(inside.Body, []byte(`href="`+album.Path()+`/49"`)) ||
		!bytes.Contains(inside.Body, []byte(`href="`+album.Path()+`/51"`)) ||
		bytes.Contains(inside.Body, []byte(photo.Token)) {
		t.Errorf("a photo of the album: %v", err)
	}
	if _, err := a.see(wire.ShareRequest{Photo: 61}); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a photo that is not in the album: %v", err)
	}
	eventually(t, 10*time.Second, func() error {
		if n := st.scalar(t, "SELECT count(*) FROM shares WHERE seen_at > now() - interval '1 hour'"); n != 2 {
			return fmt.Errorf("%d links count as used", n)
		}
		return nil
	})

	reply := dorothea.do(wire.ActionUnshare, "theft", "end", photoID)
	if reply.Header.Get(wire.HeaderStatus) != "422" {
		t.Errorf("another's link is revoked: %v", reply.Header)
	}
	if err := wire.ErrorOf(ansel.do(wire.ActionUnshare, "end", "end", photoID)); err != nil {
		t.Fatal(err)
	}
	for _, asked := range []wire.ShareRequest{{}, {Photo: 50}, {Photo: 50, Width: 640}, {Wait: time.Second}} {
		if _, err := g.see(asked); !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("a revoked link, %+v: %v", asked, err)
		}
	}
	if _, err := a.see(wire.ShareRequest{Photo: 50, Width: 640}); err != nil {
		t.Errorf("another link to the same photo: %v", err)
	}
	_, offered := ansel.list(page.PrivateShares, "notice", wire.NoticeUnshared, "undo", photoID)
	if !bytes.Contains(offered.Body, []byte(`name="back" value="`+photoID+`"`)) ||
		!bytes.Contains(offered.Body, []byte("is revoked")) {
		t.Error("there is nothing to take the revocation back")
	}
	if _, calm := ansel.list(page.PrivateShares, "undo", photoID); bytes.Contains(calm.Body, []byte(`name="back"`)) {
		t.Error("a link can bring a revoked link back")
	}
	for _, c := range []struct {
		who    *member
		key    string
		status string
	}{{dorothea, "undo-theft", "422"}, {ansel, "undo", ""}, {ansel, "undo-again", "422"}} {
		reply := c.who.do(wire.ActionReshare, c.key, "back", photoID)
		if reply.Header.Get(wire.HeaderStatus) != c.status {
			t.Errorf("%s: %v", c.key, reply.Header)
		}
	}
	if shown, err := g.see(wire.ShareRequest{}); err != nil || !bytes.Contains(shown.Body, []byte("Moonrise 50")) {
		t.Errorf("a link that is back: %v", err)
	}
	_, late := ansel.list(page.PrivateShares, "notice", wire.NoticeUnshared, "undo", photoID)
	if bytes.Contains(late.Body, []byte(`name="back"`)) || bytes.Contains(late.Body, []byte("is revoked")) {
		t.Error("a link that is back is called revoked")
	}
	if reply := st.get(t, page.Photo(50)); reply.Status != http.StatusNotFound {
		t.Errorf("a private photo that is shared: %d", reply.Status)
	}
}

// TestSharePassword: a link with a password shows nothing, not even what it is, to who has not given that. What proves
// it counts for no other link.
func TestSharePassword(t *testing.T) {
	t.Parallel()
	st, ansel, _ := shareSite(t)
	secret := "open the valley"
	link, id := ansel.share("photo", "photo", "50", "password", secret)
	if n := st.scalar(t, "SELECT count(*) FROM shares WHERE password LIKE '$argon2id$%'"); n != 1 {
		t.Errorf("%d hashes of a password", n)
	}
	g := &guest{st: st, t: t, share: link}
	asks := func(what string) {
		t.Helper()
		form, err := g.see(wire.ShareRequest{Key: "the key"})
		if err != nil || texts(t, form, "input[type=password]") == nil ||
			bytes.Contains(form.Body, []byte("Moonrise")) || bytes.Contains(form.Body, []byte("Ansel")) ||
			!bytes.Contains(form.Body, []byte(`name="key" value="the key"`)) {
			t.Errorf("%s: %v, %s", what, err, form.Body)
		}
		if _, err := g.see(wire.ShareRequest{Photo: 50, Width: 640}); !errors.Is(err, wire.ErrNotFound) {
			t.Errorf("the picture, %s: %v", what, err)
		}
	}
	asks("no password")
	for _, typed := range []string{"", "wrong", secret + " ", strings.Repeat("x", 2000)} {
		reply := g.open("k"+typed[:min(len(typed), 5)], typed)
		if reply.Header.Get(wire.HeaderStatus) != "422" || reply.Header.Get(wire.HeaderGrant) != "" ||
			bytes.Contains(reply.Data, []byte("Moonrise")) {
			t.Errorf("%q: %v", typed, reply.Header)
		}
	}
	reply := g.open("right", secret)
	if g.grant = reply.Header.Get(wire.HeaderGrant); wire.ErrorOf(reply) != nil || g.grant == "" {
		t.Fatalf("the right password: %v", reply.Header)
	}
	if shown, err := g.see(wire.ShareRequest{}); err != nil || !bytes.Contains(shown.Body, []byte("Moonrise 50")) {
		t.Errorf("with the password: %v", err)
	}
	if _, err := g.see(wire.ShareRequest{Photo: 50, Width: 640}); err != nil {
		t.Errorf("the picture with the password: %v", err)
	}
	g.more = []string{"planted", "planted too"}
	if shown, err := g.see(wire.ShareRequest{}); err != nil || !bytes.Contains(shown.Body, []byte("Moonrise 50")) {
		t.Errorf("with cookies that somebody has planted: %v", err)
	}
	g.more = nil
	shown, err := g.see(wire.ShareRequest{Exists: true})
	if err != nil || len(shown.Body) > 0 {
		t.Errorf("whether there is such a link: %v, %s", err, shown.Body)
	}
	nobodys := &guest{st: st, t: t, share: page.Share{Token: strings.Repeat("a", page.ShareTokenSize)}}
	if _, err := nobodys.see(wire.ShareRequest{Exists: true}); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("whether there is a link that nobody has made: %v", err)
	}
	shown, _ = g.see(wire.ShareRequest{Wait: time.Minute})
	if !bytes.Contains(shown.Body, []byte("too many attempts")) {
		t.Error("after too many guesses nothing is said")
	}
	other, _ := ansel.share("other", "photo", "50", "password", secret)
	g.share, link = other, g.share
	asks("with what another link was opened by")
	g.share = link
	if err := wire.ErrorOf(ansel.do(wire.ActionUnshare, "end", "end", id)); err != nil {
		t.Fatal(err)
	}
	if err := wire.ErrorOf(g.open("late", secret)); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("the password of a revoked link: %v", err)
	}
	if _, err := g.see(wire.ShareRequest{}); !errors.Is(err, wire.ErrNotFound) {
		t.Errorf("a revoked link that was opened before: %v", err)
	}
}
