package e2e

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestShareLinks is the way of links through four edges. Its parts share a site.
func TestShareLinks(t *testing.T) {
	t.Parallel()
	s := newPeopleSite(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *peopleSite)
	}{
		{"photo", sharePhoto},
		{"album", shareAlbum},
		{"password", sharePassword},
		{"unlisted", unlistPhotos},
		{"private album", hideAlbum},
		{"guessed", guessShares},
		{"bounds", boundShares},
		{"forged", forgeShares},
		{"deleted account", shareOfDeleted},
		{"no secrets", shareSecrets},
		{"browser", shareInBrowser},
	} {
		t.Run(part.name, func(t *testing.T) {
			s.t = t
			part.run(t, s)
		})
	}
}

// link makes a link with what fields say of it, and returns its path.
func (p *person) link(edge int, fields url.Values) (path string) {
	p.s.t.Helper()
	to := "/me/shares?" + url.Values{"photo": fields["photo"], "album": fields["album"]}.Encode()
	fields.Set("key", p.get(edge, to).attr("input[name=key]", "value"))
	made := p.send(http.MethodPost, p.s.urls[edge]+"/me/shares", "application/x-www-form-urlencoded", fields.Encode())
	if made.status != http.StatusSeeOther || !strings.Contains(made.header.Get("Location"), "notice=shared") {
		p.s.t.Fatalf("%v: %d to %q, %q", fields, made.status, made.header.Get("Location"), made.texts(".problem"))
	}
	at, isHere := strings.CutPrefix(p.get(edge, made.header.Get("Location")).attr(".link", "value"), p.s.urls[edge])
	if _, ok := page.ParseShare(at); !ok || !isHere {
		p.s.t.Fatalf("the link is %q", at)
	}
	p.s.secrets = append(p.s.secrets, strings.TrimPrefix(at, page.PathShares))
	return at
}

// unlink revokes the person's newest link.
func (p *person) unlink(edge int) {
	p.s.t.Helper()
	list := p.get(edge, "/me/shares")
	id := list.attr("button[name=end]", "value")
	p.form(edge, "/me/shares", url.Values{"end": {id}, "key": {list.attr("input[name=key]", "value")}}).
		expect(http.StatusSeeOther, "/me/shares?notice=unshared&undo="+id)
}

// isOfShare checks the header of an answer about a share: nobody keeps it, lists it, or hears where it was.
func (a *shown) isOfShare() {
	a.t.Helper()
	for name, want := range map[string]string{"Referrer-Policy": "strict-origin", "X-Content-Type-Options": "nosniff",
		"X-Robots-Tag": "noindex, nofollow, noarchive"} {
		if got := a.header.Get(name); got != want {
			a.t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if cached := a.header.Get("X-Cache"); !strings.Contains(a.header.Get("Cache-Control"), "no-store") ||
		cached != "render" && cached != "none" {
		a.t.Errorf("from %s, with Cache-Control %q", cached, a.header.Get("Cache-Control"))
	}
}

// sharePhoto: whoever has a link sees a private photo through every edge, and from its revocation on nothing.
func sharePhoto(t *testing.T, s *peopleSite) {
	p, other, visitor := s.person("tina"), s.person("edward"), s.person("")
	p.signUp(0)
	other.signUp(0)
	first := s.post("tina", 6)
	hidden := fmt.Sprint(first + 4)
	link := p.link(0, url.Values{"photo": {hidden}})
	picture := fmt.Sprintf("%s/%s/640.jpg", link, hidden)
	for i := range s.urls {
		got := visitor.get(i, link)
		got.expect(http.StatusOK, "")
		got.isOfShare()
		if got.texts("h1")[0] != "tina 4" ||
			got.attr(".stage img", "src") != strings.Replace(picture, "640", "1280", 1) {
			t.Errorf("edge %d shows %q", i, got.texts("h1"))
		}
		for _, place := range []string{"og:url", "og:image", "canonical"} {
			if strings.Contains(got.body, place) {
				t.Errorf("the page has %s", place)
			}
		}
		jpg := visitor.get(i, picture)
		jpg.expect(http.StatusOK, "")
		jpg.isOfShare()
		if im, err := jpeg.DecodeConfig(strings.NewReader(jpg.body)); err != nil || im.Width != 640 ||
			jpg.header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("edge %d: the picture is %v, %v", i, jpg.header, err)
		}
		head := visitor.send(http.MethodHead, s.urls[i]+link, "", "")
		if head.status != http.StatusOK || head.body != "" {
			t.Errorf("HEAD: %d with %d bytes", head.status, len(head.body))
		}
		for _, path := range []string{"/photo/" + hidden, "/me/photos/" + hidden} { // it stays private
			if got := visitor.get(i, path); got.status == http.StatusOK {
				t.Errorf("%s is shown", path)
			}
		}
	}
	for _, path := range []string{
		fmt.Sprint(link, "/", first), fmt.Sprintf("%s/%d/640.jpg", link, first), link + "/999999",
		link + "/" + hidden + "/641.jpg", link + "/" + hidden + "/640.png", link + "/", link + "x", "/s/", "/s",
		strings.ToUpper(link), link + "/" + hidden + "/640.jpg/",
	} {
		if got := visitor.get(1, path); got.status != http.StatusNotFound || strings.Contains(got.body, "tina") {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	// Who is signed in as another does not revoke it, and sees it by the link alone.
	id := p.get(0, "/me/shares").attr("button[name=end]", "value")
	other.form(1, "/me/shares", url.Values{"end": {id}, "key": {strings.Repeat("k", 26)}}).
		expect(http.StatusUnprocessableEntity, "")
	other.get(2, link).expect(http.StatusOK, "")
	other.send(http.MethodPost, s.urls[1]+"/me/shares", "application/x-www-form-urlencoded",
		"key="+strings.Repeat("m", 26)+"&photo="+hidden).expect(http.StatusUnprocessableEntity, "")
	if used := p.get(1, "/me/shares").texts(".facts span"); !slices.ContainsFunc(used, func(text string) bool {
		return strings.HasPrefix(text, "Last used ")
	}) {
		t.Errorf("the list says %q", used)
	}
	// In the bin it is not shown; back from there it is.
	key := strings.Repeat("b", 26)
	p.form(0, "/me/photos", url.Values{"photos": {hidden}, "do": {"bin"}, "key": {key + "in"}})
	visitor.get(1, link).expect(http.StatusNotFound, "")
	visitor.get(2, picture).expect(http.StatusNotFound, "")
	p.form(0, "/me/bin", url.Values{"photos": {hidden}, "do": {"restore"}, "key": {key + "out"}})
	visitor.get(1, link).expect(http.StatusOK, "")
	p.unlink(3)
	for i := range s.urls {
		for _, path := range []string{link, picture} {
			got := visitor.get(i, path)
			got.expect(http.StatusNotFound, "")
			got.isOfShare()
		}
	}
}

// shareAlbum: a link to an album shows its photos, private ones too, and those that are added later.
func shareAlbum(t *testing.T, s *peopleSite) {
	p, visitor := s.person("gordon"), s.person("")
	p.signUp(0)
	first := s.post("gordon", 6)
	s.exec(fmt.Sprintf("WITH a AS (INSERT INTO albums (user_id, title, description) SELECT id, 'Harlem', 'The <city>' "+
		"FROM users WHERE name = 'gordon' RETURNING id, user_id) "+
		"INSERT INTO album_photos (album_id, photo_id, user_id, position) "+
		"SELECT a.id, n, a.user_id, n FROM a, generate_series(%d, %d) n", first+2, first+4))
	album := fmt.Sprint(s.count("SELECT max(id) FROM albums"))
	link := p.link(1, url.Values{"album": {album}, "days": {"30"}, "name": {"for <all>"}})
	got := visitor.get(2, link)
	if got.expect(http.StatusOK, ""); got.texts("h1")[0] != "Harlem" || len(got.texts(".grid li")) != 3 ||
		got.attr(".grid a", "href") != fmt.Sprint(link, "/", first+2) {
		t.Errorf("the album is %q, %q", got.texts("h1"), got.texts(".grid li"))
	}
	sources := regexp.MustCompile(`src="([^"]*640\.jpg)"`).FindAllStringSubmatch(got.body, -1)
	if len(sources) != 3 || !strings.HasPrefix(sources[0][1], "/img/") || // everybody sees it
		sources[2][1] != fmt.Sprintf("%s/%d/640.jpg", link, first+4) {
		t.Errorf("pictures %q", sources)
	}
	one := visitor.get(3, fmt.Sprint(link, "/", first+3))
	if one.attr(".prev", "href") != fmt.Sprint(link, "/", first+2) || one.attr(".up", "href") != link ||
		one.attr(".next", "href") != fmt.Sprint(link, "/", first+4) {
		t.Errorf("the photos around it are %q and %q", one.attr(".prev", "href"), one.attr(".next", "href"))
	}
	visitor.get(0, fmt.Sprint(link, "/", first)).expect(http.StatusNotFound, "")
	s.exec(fmt.Sprintf(
		"INSERT INTO album_photos (album_id, photo_id, user_id, position) SELECT album_id, %d, user_id, %d "+
			"FROM album_photos WHERE photo_id = %d", first, first+9, first+2))
	visitor.get(0, fmt.Sprint(link, "/", first)).expect(http.StatusOK, "")
	s.exec("UPDATE shares SET expires_at = now() WHERE album_id = " + album)
	visitor.get(0, link).expect(http.StatusNotFound, "")
	if said := p.get(0, "/me/shares").texts(".facts span"); !slices.ContainsFunc(said, func(text string) bool {
		return strings.HasPrefix(text, "Ended ")
	}) {
		t.Errorf("the list says %q", said)
	}
	p.unlink(0)
}

// sharePassword: a link with a password shows nothing without it, remembers it for one browser and one link, and bounds
// guesses at all edges together.
func sharePassword(t *testing.T, s *peopleSite) {
	p, visitor, stranger := s.person("lee"), s.person(""), s.person("")
	p.signUp(0)
	first := s.post("lee", 6)
	hidden, secret := fmt.Sprint(first+4), "by the rhine"
	s.secrets = append(s.secrets, secret, url.QueryEscape(secret))
	link := p.link(0, url.Values{"photo": {hidden}, "password": {secret}})
	picture := fmt.Sprintf("%s/%s/320.jpg", link, hidden)
	form := visitor.get(1, link)
	form.expect(http.StatusOK, "")
	form.isOfShare()
	if form.attr("input[type=password]", "name") != "password" || strings.Contains(form.body, "lee") {
		t.Errorf("without the password: %s", form.body)
	}
	visitor.get(1, picture).expect(http.StatusNotFound, "")
	wrong := visitor.form(2, link, url.Values{"password": {"by the elbe"}})
	wrong.expect(http.StatusUnprocessableEntity, "")
	wrong.isOfShare()
	if len(wrong.texts(".problem")) != 1 || strings.Contains(wrong.body, "elbe") || len(visitor.cookies()) > 0 {
		t.Errorf("a wrong password: %q, %v", wrong.texts(".problem"), visitor.cookies())
	}
	opened := visitor.form(3, link, url.Values{"password": {secret}})
	opened.expect(http.StatusSeeOther, link)
	opened.isOfShare()
	cookie := opened.header.Get("Set-Cookie")
	for _, part := range []string{"share=", "; Path=" + link + ";", "; HttpOnly", "; SameSite=Lax", "; Max-Age="} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q has no %q", cookie, part)
		}
	}
	for i := range s.urls {
		visitor.get(i, picture).expect(http.StatusOK, "")
		if got := visitor.get(i, link); got.texts("h1")[0] != "lee 4" {
			t.Errorf("edge %d shows %q", i, got.texts("h1"))
		}
		if got := stranger.get(i, link); got.attr("input[type=password]", "name") == "" {
			t.Errorf("edge %d opens the link for everybody", i)
		}
	}
	other := p.link(0, url.Values{"photo": {hidden}, "password": {secret}})
	grant, _, _ := strings.Cut(cookie, ";")
	for what, value := range map[string]string{
		"another link's": grant, "nonsense": "share=x", "two": grant + "; " + grant,
	} {
		stranger.header.Set("Cookie", value)
		if got := stranger.get(0, other); got.attr("input[type=password]", "name") == "" {
			t.Errorf("%s cookie opens a link", what)
		}
		stranger.get(1, other+"/"+hidden+"/320.jpg").expect(http.StatusNotFound, "")
	}
	stranger.header.Del("Cookie")

	var reached sync.Map
	sub, err := s.nc.Subscribe(wire.ActionSubject(wire.ActionShareOpen), func(m *nats.Msg) {
		reached.Store(m.Header.Get(wire.HeaderRequest), true)
	})
	must(t, err)
	must(t, s.nc.Flush())
	var limited atomic.Int64
	var guessers sync.WaitGroup
	guess := url.Values{"password": {"a guess"}, "key": {strings.Repeat("k", 26)}}.Encode()
	for i := range 4 {
		guessers.Go(func() {
			for range 20 {
				if stranger.send(http.MethodPost, s.urls[i]+other, "application/x-www-form-urlencoded", guess).status ==
					http.StatusTooManyRequests {
					limited.Add(1)
				}
			}
		})
	}
	guessers.Wait()
	must(t, s.nc.Flush())
	must(t, sub.Unsubscribe())
	n := 0
	reached.Range(func(any, any) bool { n++; return true })
	if n == 0 || n > 20 || limited.Load() < 60 { // the minute may end meanwhile, once
		t.Errorf("%d guesses reached a renderer, %d were refused", n, limited.Load())
	}
	late := stranger.form(2, other, url.Values{"password": {"a guess"}})
	late.isOfShare()
	if late.status != http.StatusTooManyRequests || late.header.Get("Retry-After") == "" ||
		!strings.Contains(strings.Join(late.texts(".problem"), ""), "too many attempts") {
		t.Errorf("a further guess: %d, %q", late.status, late.texts(".problem"))
	}
	visitor.get(0, link).expect(http.StatusOK, "") // who has opened another link is not kept from it
	p.unlink(0)
	p.unlink(0)
	visitor.get(2, link).expect(http.StatusNotFound, "")
	visitor.get(3, picture).expect(http.StatusNotFound, "")
}

// unlistPhotos: an unlisted photo is shown to whoever has its link, which its form shows, and is hidden from all others
// and from all lists, through every edge.
func unlistPhotos(t *testing.T, s *peopleSite) {
	p, visitor := s.person("ilse"), s.person("")
	p.signUp(0)
	first := s.post("ilse", 6)
	path, form := fmt.Sprint("/photo/", first), fmt.Sprint("/me/photos/", first)
	for i := range s.urls { // each edge keeps the pages of before
		testenv.Eventually(t, "the photo is shown", func() bool { return visitor.get(i, path).status == http.StatusOK })
		visitor.get(i, "/photos/ilse")
	}
	picture := visitor.get(0, path).attr(".stage img", "src")
	p.form(0, form, url.Values{"title": {"Eiffel"}, "visibility": {"unlisted"}, "was-visibility": {"public"}}).
		expect(http.StatusSeeOther, form+"?notice=unlisted")
	shown := p.get(1, form)
	link := strings.TrimPrefix(shown.attr(".link", "value"), s.urls[1])
	s.secrets = append(s.secrets, strings.TrimPrefix(link, page.PathShares))
	if shown.attr("#visibility option[selected]", "value") != "unlisted" || !strings.HasPrefix(link, page.PathShares) {
		t.Errorf("the form says %q and shows the link %q", shown.attr("#visibility option[selected]", "value"), link)
	}
	for i := range s.urls {
		if got := visitor.get(i, link); got.status != http.StatusOK || got.texts("h1")[0] != "Eiffel" {
			t.Errorf("edge %d: the link is answered by %d", i, got.status)
		}
		testenv.Eventually(t, "nobody sees it without the link", func() bool {
			return visitor.get(i, path).status == http.StatusNotFound &&
				visitor.get(i, picture).status == http.StatusNotFound &&
				!strings.Contains(visitor.get(i, "/photos/ilse").body, path+`"`)
		})
		for _, list := range []string{"/photos/ilse", "/photos/ilse/feed.atom", "/", "/explore", "/search?q=eiffel",
			"/sitemap/photos-1.xml"} {
			if got := visitor.get(i, list); strings.Contains(got.body, fmt.Sprintf("/photo/%d<", first)) ||
				strings.Contains(got.body, path+`"`) || strings.Contains(got.body, link) {
				t.Errorf("edge %d: %s has it", i, list)
			}
		}
	}
	// Several, each with a link; those that have one keep it.
	several := []string{fmt.Sprint(first), fmt.Sprint(first + 1), fmt.Sprint(first + 4)}
	p.form(2, "/me/photos", url.Values{"photos": several, "do": {"unlisted"}}).
		expect(http.StatusSeeOther, "/me/photos?notice=changed")
	if badges := p.get(3, "/me/photos").texts(".badge"); !slices.Equal(badges, []string{"Unlisted", "Unlisted",
		"Unlisted"}) {
		t.Errorf("the list marks %q", badges)
	}
	if n := len(p.get(3, "/me/shares").texts("button[name=end]")); n != 3 {
		t.Errorf("there are %d links", n)
	}
	visitor.get(1, link).expect(http.StatusOK, "")
	p.form(1, "/me/photos", url.Values{"photos": several[:1], "do": {"private"}})
	for i := range s.urls {
		visitor.get(i, link).expect(http.StatusNotFound, "")
	}
	if got := p.get(2, form); got.attr(".link", "value") != "" ||
		got.attr("#visibility option[selected]", "value") != "private" {
		t.Error("a private photo is shown as unlisted")
	}
	p.form(0, form, url.Values{"visibility": {"friends"}}).expect(http.StatusUnprocessableEntity, "")
}

// hideAlbum: an album that its owner hides is shown at no edge, and unlisted to whoever has its link alone; its photos
// stay as they are.
func hideAlbum(t *testing.T, s *peopleSite) {
	p, other, visitor := s.person("walker"), s.person("evans"), s.person("")
	p.signUp(0)
	other.signUp(0)
	first := s.post("walker", 6)
	s.exec(fmt.Sprintf("WITH a AS (INSERT INTO albums (user_id, title, description) SELECT id, 'Subway', '' "+
		"FROM users WHERE name = 'walker' RETURNING id, user_id) "+
		"INSERT INTO album_photos (album_id, photo_id, user_id, position) "+
		"SELECT a.id, n, a.user_id, n FROM a, generate_series(%d, %d) n", first, first+4))
	id := s.count("SELECT max(id) FROM albums")
	album, form := fmt.Sprint("/album/", id), fmt.Sprint("/me/albums/", id)
	photo := fmt.Sprint("/photo/", first)
	for i := range s.urls { // each edge keeps the pages of before
		testenv.Eventually(t, "the album is shown", func() bool {
			return visitor.get(i, album).status == http.StatusOK &&
				strings.Contains(visitor.get(i, photo).body, "Subway")
		})
		visitor.get(i, "/photos/walker")
	}
	hide := func(who *person, edge int, visibility string) *shown {
		key := who.get(0, "/me/albums").attr("input[name=key]", "value")
		return who.send(http.MethodPost, s.urls[edge]+form, "application/x-www-form-urlencoded",
			url.Values{"do": {"show"}, "visibility": {visibility}, "key": {key}}.Encode())
	}
	hide(other, 1, "private").expect(http.StatusNotFound, "")
	hide(p, 1, "friends").expect(http.StatusUnprocessableEntity, "")
	hide(p, 0, "unlisted").expect(http.StatusSeeOther, form+"?notice=album-shown")
	own := p.get(2, form)
	link := strings.TrimPrefix(own.attr(".link", "value"), s.urls[2])
	s.secrets = append(s.secrets, strings.TrimPrefix(link, page.PathShares))
	if own.attr("#visibility option[selected]", "value") != "unlisted" || !strings.HasPrefix(link, page.PathShares) {
		t.Errorf("the form says %q, with the link %q", own.attr("#visibility option[selected]", "value"), link)
	}
	for i := range s.urls {
		if got := visitor.get(i, link); len(got.texts(".grid li")) != 5 {
			t.Errorf("edge %d: by the link there are %q", i, got.texts(".grid li"))
		}
		testenv.Eventually(t, "nobody finds it without the link", func() bool {
			return visitor.get(i, album).status == http.StatusNotFound &&
				!strings.Contains(visitor.get(i, "/photos/walker").body, "Subway") &&
				!strings.Contains(visitor.get(i, photo).body, "Subway")
		})
		visitor.get(i, photo).texts("h1")
		if got := visitor.get(i, photo); got.status != http.StatusOK {
			t.Errorf("edge %d: a photo of it: %d", i, got.status)
		}
		for _, list := range []string{"/photos/walker/albums", album + "/feed.atom"} {
			if got := visitor.get(i, list); strings.Contains(got.body, "Subway") {
				t.Errorf("edge %d: %s has it", i, list)
			}
		}
	}
	hide(p, 3, "private")
	for i := range s.urls {
		visitor.get(i, link).expect(http.StatusNotFound, "")
	}
	hide(p, 1, "public")
	for i := range s.urls {
		testenv.Eventually(t, "it is shown again", func() bool { return visitor.get(i, album).status == http.StatusOK })
	}
}

// guessShares: a token that somebody makes up shows nothing, whatever it resembles, and asks no renderer to hash.
func guessShares(t *testing.T, s *peopleSite) {
	visitor := s.person("")
	for _, token := range []string{strings.Repeat("a", 26), strings.Repeat("7", 26), "abcdefghijklmnopqrstuvwxyz"} {
		for _, path := range []string{"", "/1", "/1/640.jpg"} {
			got := visitor.get(1, "/s/"+token+path)
			got.expect(http.StatusNotFound, "")
			got.isOfShare()
		}
		visitor.send(http.MethodPost, s.urls[0]+"/s/"+token, "application/x-www-form-urlencoded",
			url.Values{"password": {"a guess"}, "key": {strings.Repeat("k", 26)}}.Encode()).
			expect(http.StatusNotFound, "")
	}
}

// forgeShares: what another site has a browser send does not open a link, and no path takes a method that it should
// not.
func forgeShares(t *testing.T, s *peopleSite) {
	p := s.person("dora")
	p.signUp(0)
	first := s.post("dora", 1)
	link := p.link(0, url.Values{"photo": {fmt.Sprint(first)}, "password": {"by the danube"}})
	visitor := s.person("")
	fields := url.Values{"password": {"by the danube"}, "key": {strings.Repeat("k", 26)}}
	for _, header := range []http.Header{{"Origin": {"https://evil.example"}}, {"Origin": {"null"}},
		{"Sec-Fetch-Site": {"cross-site"}}} {
		visitor.header = header
		visitor.form(1, link, fields).expect(http.StatusForbidden, "")
	}
	visitor.header = http.Header{"Origin": {""}, "Sec-Fetch-Site": {"same-origin"}}
	visitor.form(1, link, fields).expect(http.StatusSeeOther, link)
	visitor.header = http.Header{}
	for _, path := range []string{link + "/1", link + "/1/640.jpg"} {
		got := visitor.send(http.MethodPost, s.urls[0]+path, "application/x-www-form-urlencoded", fields.Encode())
		if got.expect(http.StatusMethodNotAllowed, ""); got.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s allows %q", path, got.header.Get("Allow"))
		}
	}
	if got := visitor.send(http.MethodPut, s.urls[0]+link, "", ""); got.header.Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("a link allows %q", got.header.Get("Allow"))
	}
	visitor.form(1, link, url.Values{"password": {"x"}, "key": {"short"}}).expect(http.StatusBadRequest, "")
	p.unlink(0)
}

// shareOfDeleted: with an account go its links.
func shareOfDeleted(t *testing.T, s *peopleSite) {
	p, visitor := s.person("gone_photographer"), s.person("")
	p.signUp(0)
	link := p.link(0, url.Values{"photo": {fmt.Sprint(s.post("gone_photographer", 1))}})
	visitor.get(1, link).expect(http.StatusOK, "")
	p.form(0, "/me/delete", url.Values{"password": {p.password}})
	for i := range s.urls {
		visitor.get(i, link).expect(http.StatusNotFound, "")
	}
}

// shareSecrets: neither logs, nor the rows of links, nor subjects that people read, nor what edges count have the token
// of a link or a password.
func shareSecrets(t *testing.T, s *peopleSite) {
	var rows string
	must(t, s.pool.QueryRow(t.Context(), "SELECT coalesce(string_agg(s::text, ' '), 'none') || "+
		"(SELECT string_agg(k::text, ' ') FROM action_keys k) FROM shares s").Scan(&rows))
	for i, secret := range s.secrets {
		for place, text := range map[string]string{"the log": s.said.String(), "rows": rows} {
			if strings.Contains(text, secret) {
				at := strings.Index(text, secret)
				t.Errorf("%s has secret %d: %.200s", place, i, text[max(0, at-150):])
			}
		}
	}
	if said := s.said.String(); !strings.Contains(said, "/s/…") || !strings.Contains(said, wire.SubjectSharePicture) {
		t.Error("the log has nothing of links")
	}
	// A path that a visitor has mistyped may have a token in it, too.
	visitor, token := s.person(""), strings.Repeat("secretx2", 4)[:26]
	for _, path := range []string{"//s/", "/S/", "/%73/", "/s/x/s/", "/s%2F", "/me/../s/"} {
		visitor.get(0, path+token)
		visitor.get(0, path+token+"/7?after=1")
	}
	if strings.Contains(s.said.String(), token) {
		t.Error("the log has the token of a path that is mistyped")
	}
	if bytes.Contains([]byte(s.said.String()), []byte("panic")) {
		t.Error("something has panicked")
	}
}

// shareInBrowser: somebody makes a link and revokes it, and another opens it with its password, in Chromium.
func shareInBrowser(t *testing.T, s *peopleSite) {
	parent, p := browser(t), s.person("berenice")
	p.signUp(0)
	first := s.post("berenice", 6)
	s.exec(fmt.Sprintf(
		"WITH a AS (INSERT INTO albums (user_id, title, description) SELECT id, 'Changing New York', '' "+
			"FROM users WHERE name = 'berenice' RETURNING id, user_id) "+
			"INSERT INTO album_photos (album_id, photo_id, user_id, position) "+
			"SELECT a.id, n, a.user_id, n FROM a, generate_series(%d, %d) n", first, first+5))
	owner, visitor := newTab(t, parent, s.urls[1]), newTab(t, parent, s.urls[2])
	owner.setCookies(p.cookies())
	owner.open(fmt.Sprint("/me/photos/", first+4))
	ask[bool](owner, `([...document.querySelectorAll("main a")].find((a) => a.textContent === "Share").click(), true)`)
	owner.becomes(fmt.Sprintf(`location.pathname + location.search === "/me/shares?photo=%d" &&
		!!document.querySelector("#password")`, first+4))
	owner.isForEverybody("share a photo")
	owner.fill(map[string]string{"name": "For the exhibition", "password": "by the hudson"})
	owner.becomes(`!!document.querySelector(".link") && location.search.includes("notice=shared")`)
	owner.becomes(`[...document.querySelectorAll("button")].some((b) => b.textContent === "Copy")`)
	owner.isForEverybody("links of a photo")
	p.form(1, "/me/photos", url.Values{"photos": {fmt.Sprint(first + 2)}, "do": {"unlisted"}})
	owner.open(fmt.Sprint("/me/photos/", first+2))
	owner.becomes(`[...document.querySelectorAll("button")].some((b) => b.textContent === "Copy")`)
	owner.isForEverybody("unlisted photo")
	owner.open(fmt.Sprint("/me/shares?photo=", first+4))
	link := ask[string](owner, `new URL(document.querySelector(".link").value).pathname`)
	s.secrets = append(s.secrets, strings.TrimPrefix(link, page.PathShares))

	guesser := newTab(t, parent, s.urls[3])
	guesser.open(link)
	guesser.fill(map[string]string{"password": "by the thames"})
	guesser.becomes(`document.querySelectorAll(".problem").length === 1`)
	guesser.isForEverybody("share password refused")
	visitor.open(link)
	visitor.isForEverybody("share password")
	visitor.fill(map[string]string{"password": "by the hudson"})
	visitor.becomes(`document.querySelector("h1").textContent === "berenice 4" &&
		document.querySelector(".stage img").naturalWidth > 0`)
	visitor.isForEverybody("shared photo")
	visitor.noProblems()

	album := p.link(0, url.Values{"album": {fmt.Sprint(s.count("SELECT max(id) FROM albums"))}})
	visitor.open(album)
	visitor.becomes(`document.querySelectorAll(".grid img").length === 6 &&
		[...document.images].slice(0, 6).every((i) => i.naturalWidth > 0)`)
	visitor.isForEverybody("shared album")
	ask[bool](visitor, `(document.querySelector(".grid a").click(), true)`)
	visitor.becomes(fmt.Sprintf(`location.pathname === "%s/%d" && !!document.querySelector(".keys")`, album, first))
	visitor.do(chromedp.KeyEvent("j"))
	visitor.becomes(fmt.Sprintf(`location.pathname === "%s/%d" &&
		document.querySelector("h1").textContent === "berenice 1"`, album, first+1))
	if sent := ask[string](visitor, `document.referrer`); strings.Contains(sent, page.PathShares) {
		t.Errorf("the referrer is %q", sent)
	}
	visitor.do(chromedp.KeyEvent("u"))
	visitor.becomes(`location.pathname === "` + album + `"`)
	owner.open("/me/shares")
	owner.becomes(`document.querySelectorAll(".link").length === 3`)
	owner.isForEverybody("all links")
	ask[bool](owner, `(document.querySelector("button[name=end]").click(), true)`)
	revoked := `location.search.startsWith("?notice=unshared&undo=") && document.querySelectorAll(".link").length === 2`
	owner.becomes(revoked)
	visitor.open(album)
	visitor.becomes(`document.querySelector("h1").textContent !== "Changing New York"`)
	owner.press("Undo")
	owner.becomes(`location.search === "?notice=reshared" && document.querySelectorAll(".link").length === 3`)
	visitor.open(album)
	visitor.becomes(`document.querySelector("h1").textContent === "Changing New York"`)
	owner.noProblems()
}
