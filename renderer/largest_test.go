package renderer

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
	"flickrkillr/templates"
)

// Tags and albums of one photo: more than a page shows.
const manyTags, manyAlbums = 1500, 1500

// TestLargestPages: no page can be larger than a message of the bus, and so than an item of memcached. Each field is as
// long as the database takes it, and each listing as long as it gets, in two texts: one that escaping makes as long as
// it can, and one that gzip can do the least with.
func TestLargestPages(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	ideographs := func(n int) string { // letters of four bytes each
		var b strings.Builder
		for range n {
			b.WriteRune(rune(0x20000 + random.IntN(0xa6df)))
		}
		return b.String()
	}
	addresses := func(n int) string { // each stands on the page twice; an ampersand becomes 9 bytes in a feed
		one := "http://a.b/" + strings.Repeat("&", 1988) + "\n"
		return strings.Repeat(one, n/len(one)+1)[:n]
	}
	for name, text := range map[string]struct {
		line, prose func(characters int) string
		tag         func(n int) string
	}{
		"escaped": {func(n int) string { return strings.Repeat(`"`, n) }, addresses,
			func(n int) string { return fmt.Sprintf("%04d%s", n, strings.Repeat("&", 60)) }},
		"random": {ideographs, ideographs, func(int) string { return ideographs(30) }},
	} {
		t.Run(name, func(t *testing.T) {
			st := newSite(t)
			st.makeLargest(t, text.line, text.prose, text.tag)
			origin := "https://" + strings.Repeat("a", page.MaxOrigin-len("https://"))
			s := st.start(t, func(c *Config) { c.BaseURL, c.IndexPoll = origin, time.Hour })
			eventually(t, 10*time.Second, func() error { // counts follow a second after
				if n := len(texts(t, st.get(t, page.Tags()), ".cloud li")); n < 200 {
					return fmt.Errorf("%d tags are counted", n)
				}
				return nil
			})
			user, largest := page.User(largestUser), page.Photo(1049)
			refs := []page.Ref{page.Home(), page.Home().Before(990), page.Explore(), user, user.Before(1049),
				page.Albums(largestUser), largest, page.Tag("blue hour"), page.Tags(), page.Search("moonrise"),
				page.Search("moonrise " + strings.Repeat("&", page.MaxQuery-len("moonrise "))), page.Album(990),
				page.About(), page.Feed(page.Home()), page.Feed(user), page.Feed(page.Album(990)),
				page.Feed(page.Tag("blue hour")), page.Sitemap(), page.SitemapPart("photos", 1),
				page.SitemapPart("users", 1), page.SitemapPart("albums", 1), page.OEmbed(1049, "json", 0, 0),
				page.OEmbed(1049, "xml", 0, 0), page.Error(404), st.picture(t, 1, 2560)}
			for _, file := range page.Files() {
				refs = append(refs, page.File(file))
			}
			for _, subject := range strings.Fields(string(st.request(t, wire.SubjectAssets).Data)) {
				ref, err := page.ParseSubject(subject)
				if err != nil {
					t.Fatal(err)
				}
				refs = append(refs, ref)
			}
			for _, kind := range page.Kinds() {
				if !slices.ContainsFunc(refs, func(r page.Ref) bool { return r.Kind() == kind }) {
					t.Errorf("no page of the kind %s is measured", kind)
				}
			}
			for _, ref := range refs {
				fitsAMessage(t, s.nc.MaxPayload(), ref, receive(t, st.ask(t, ref.Subject(), acceptGzip)))
				fitsAMessage(t, s.nc.MaxPayload(), ref, receive(t, st.ask(t, ref.Subject(), nil)))
			}
		})
	}
}

// TestLargeReplies: whatever its size, a page arrives byte for byte; one that does not fit a message even when it is
// compressed is an error, at once, and the log of the renderer says its size.
func TestLargeReplies(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	log := testenv.NewOutput()
	s := st.start(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	words := strings.Repeat("<p>the same words</p>", 4<<20/21)
	noise := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	for name, c := range map[string]struct {
		body string
		fits bool
	}{
		"words, 0.5 MiB": {words[:1<<19], true}, "words, 1 MiB": {words[:1<<20], true}, "words, 4 MiB": {words, true},
		"noise, 0.5 MiB": {string(noise[:1<<19]), true}, "noise, 1 MiB": {string(noise[:1<<20]), false},
		"noise, 4 MiB": {string(noise), false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, gzip := range []bool{false, true} {
				j := &job{request: request{id: fmt.Sprint(name, gzip), ref: page.About(), subject: "page.about",
					reply: edgeInbox(), endpoint: s.endpoints[0], arrived: time.Now(), gzip: gzip}}
				answer := make(chan *nats.Msg, 1)
				_, err := st.nc.ChanSubscribe(j.reply, answer)
				if err == nil {
					err = st.nc.Flush()
				}
				if err != nil {
					t.Fatal(err)
				}
				reply := &wire.Reply{Status: 200, ContentType: htmlType, Body: []byte(c.body)}
				s.deliver([]*job{j}, reply, "", wire.Timing{})
				msg := receive(t, answer)
				if !c.fits {
					if err := wire.ErrorOf(msg); wire.Code(err) != "too_large" {
						t.Errorf("%v, want the code too_large", err)
					}
					want := fmt.Sprintf("request=%q subject=page.about code=too_large", j.id)
					all := log.String()
					if !strings.Contains(all, want) || !strings.Contains(all, "the bus takes 1048576") {
						t.Errorf("the log lacks %s and the sizes", want)
					}
					continue
				}
				got := decoded(t, j.ref, msg)
				if body := plain(t, got); string(body) != c.body {
					t.Errorf("%d bytes of %d are another's", len(body), len(c.body))
				}
			}
		})
	}
}

func fitsAMessage(t *testing.T, most int64, ref page.Ref, msg *nats.Msg) {
	t.Helper()
	if err := wire.ErrorOf(msg); err != nil {
		t.Errorf("%s: %v", ref, err)
		return
	}
	reply := decoded(t, ref, msg)
	if reply.Status != http.StatusOK && ref.Kind() != page.KindError {
		t.Errorf("%s: status %d", ref, reply.Status)
	}
	unpacked := len(reply.Body)
	if reply.Encoding == wire.EncodingGzip {
		unpacked = len(plain(t, reply))
	}
	t.Logf("%-40.40s %7d bytes, unpacked %7d", ref, msg.Size(), unpacked)
	if int64(msg.Size()) > most*3/4 || unpacked > wire.MaxUnpacked/2 {
		t.Errorf("%s takes %d bytes of %d, unpacked %d of %d", ref, msg.Size(), most, unpacked, wire.MaxUnpacked)
	}
}

// TestLargestSitemap is TestLargestPages for a part of the sitemap, of which that has one that is not full.
func TestLargestSitemap(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	word := func(n int, of string) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = of[random.IntN(len(of))]
		}
		return string(b)
	}
	entries := make([]templates.SitemapEntry, store.SitemapSize)
	for i := range entries { // longer than any: a user's name and a picture
		entries[i].Ref = page.User("a" + word(30, "abcdefghijklmnopqrstuvwxyz0123456789-_"))
		entries[i].Image = templates.Image{ID: word(26, "abcdefghijklmnopqrstuvwxyz234567"), Width: 1 << 20}
	}
	var body, packed bytes.Buffer
	site := templates.Site{Base: "https://" + strings.Repeat("a", page.MaxOrigin-len("https://"))}
	if err := templates.WriteSitemap(&body, site, entries); err != nil {
		t.Fatal(err)
	}
	(&wire.Gzip{}).Pack(&packed, body.Bytes())
	t.Logf("%d bytes, unpacked %d", packed.Len(), body.Len())
	if packed.Len() > 1<<19 || body.Len() > wire.MaxUnpacked/2 {
		t.Errorf("%d bytes, unpacked %d", packed.Len(), body.Len())
	}
}

const largestUser = "the-largest-of-all-the-accounts"

// makeLargest adds 100 users with a photo each, and then one with 60 photos. The last of these, 1049, has manyTags and
// is in manyAlbums.
func (st *site) makeLargest(t testing.TB, line, prose func(int) string, tag func(int) string) {
	t.Helper()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := st.pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	many := func(n int, f func() string) []string {
		all := make([]string, n)
		for i := range all {
			all[i] = f()
		}
		return all
	}
	tags := make([]string, manyTags)
	for i := range tags {
		tags[i] = tag(i)
	}
	exec(`INSERT INTO users (id, name, display_name, bio) OVERRIDING SYSTEM VALUE
		SELECT n, CASE n WHEN 990 THEN $1 ELSE repeat('a', 25) || n END, $2, $3 FROM generate_series(890, 990) AS n`,
		largestUser, line(100), prose(2000))
	exec(`INSERT INTO images (id, width, height, color, bytes) VALUES (repeat('a', 26), 12345, 6789, 16777215, 1)`)
	exec(`INSERT INTO photos (id, user_id, image_id, width, height, color, title, description, faves, camera, lens,
			exposure, iso, aperture, focal_mm, taken_at) OVERRIDING SYSTEM VALUE
		SELECT 889 + nr, least(889 + nr, 990), repeat('a', 26), 12345, 6789, 16777215, $2, d, 2147483647, $3, $3, $4,
			2147483647, 999.9, 99999.9, now()
		FROM unnest($1::text[]) WITH ORDINALITY AS a (d, nr)`, many(160, func() string { return prose(5000) }),
		line(200), line(100), line(20))
	exec(`UPDATE photos SET title = 'Moonrise ' || $1 WHERE id < 104`, line(191))
	exec(`INSERT INTO albums (id, user_id, title, description) OVERRIDING SYSTEM VALUE
		SELECT 989 + nr, 990, title, $2 FROM unnest($1::text[]) WITH ORDINALITY AS a (title, nr)`,
		many(manyAlbums, func() string { return line(200) }), prose(5000))
	exec(`INSERT INTO album_photos (album_id, photo_id, user_id, position)
		SELECT 989 + n, 1049, 990, 100 FROM generate_series(1, $1) AS n
		UNION ALL SELECT 990, 989 + n, 990, n FROM generate_series(1, 59) AS n`, manyAlbums)
	exec(`INSERT INTO tags (id, name) OVERRIDING SYSTEM VALUE
		SELECT nr + 2, n FROM unnest($1::text[]) WITH ORDINALITY AS a (n, nr)`, tags)
	exec(`INSERT INTO photo_tags (photo_id, tag_id) SELECT 1049, n + 2 FROM generate_series(1, $1) AS n
		UNION ALL SELECT 989 + n, 1 FROM generate_series(1, 60) AS n`, manyTags)
}
