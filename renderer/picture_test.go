package renderer

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"flickrkillr/renderer/picturekey"
	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// picture is the address of the picture of a photo as it is now.
func (st *site) picture(t testing.TB, photo int64, width int) page.Ref {
	t.Helper()
	key, err := store.New(st.pool).SiteKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := picturekey.New(key)
	if err != nil {
		t.Fatal(err)
	}
	var generation int32
	err = st.pool.QueryRow(t.Context(), "SELECT picture FROM photos WHERE id = $1", photo).Scan(&generation)
	if err != nil {
		t.Fatal(err)
	}
	return page.Image(keys.Key(photo, generation), width)
}

// post makes a photo of dorothea's, which shows im, and returns its id.
func (st *site) post(t testing.TB, im pictures.Image) (photo int64) {
	t.Helper()
	err := st.pool.QueryRow(t.Context(), `
		WITH stored AS (
			INSERT INTO images (id, width, height, color, bytes) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
		)
		INSERT INTO photos (id, user_id, image_id, width, height, color)
			SELECT max(id) + 1, 2, $1, $2, $3, $4 FROM photos RETURNING id`,
		im.ID, im.Width, im.Height, int64(im.Color), im.Bytes).Scan(&photo)
	if err != nil {
		t.Fatal(err)
	}
	return photo
}

func (st *site) exec(t testing.TB, sql string) {
	t.Helper()
	if _, err := st.pool.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestPictureIsShownWithItsPhoto: an address is one of a photo that is shown, from when it was made public last. All
// others get one answer, which tells them from each other in nothing.
func TestPictureIsShownWithItsPhoto(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, nil)
	missing := st.get(t, page.Image(strings.Repeat("a", 26), 320))
	if missing.Status != http.StatusNotFound || missing.MaxAge != missingImageAge || len(missing.Depends) != 0 {
		t.Fatalf("no such picture: %+v", missing)
	}
	shown := func(when string, ref page.Ref) {
		t.Helper()
		reply := st.get(t, ref)
		if _, ok := scopesOf(reply)["user.ansel"]; reply.Status != http.StatusOK || !reply.GoneOnly() || !ok ||
			reply.Depends[0].Scope != wire.ScopeAll || reply.MaxAge != wire.PageAge {
			t.Errorf("%s: status %d, immutable %t, for %s, %v", when, reply.Status, reply.Immutable, reply.MaxAge,
				reply.Depends)
		}
	}
	gone := func(when string, ref page.Ref) {
		t.Helper()
		got := st.get(t, ref)
		got.Key, got.ReadAt = missing.Key, missing.ReadAt
		if !bytes.Equal(got.Encode(), missing.Encode()) {
			t.Errorf("%s: %+v, of a picture that never was %+v", when, got, missing)
		}
	}
	first := st.picture(t, 7, 320)
	shown("public", first)
	gone("by the image's id", page.Image(st.image.ID, 320))
	gone("private from the beginning", st.picture(t, 50, 320))
	st.exec(t, "UPDATE photos SET title = 'Another' WHERE id = 7")
	shown("edited", first)
	st.exec(t, "UPDATE photos SET private = true WHERE id = 7")
	gone("private", first)
	gone("private, at its next address", st.picture(t, 7, 320))
	st.exec(t, "UPDATE photos SET private = false WHERE id = 7")
	second := st.picture(t, 7, 320)
	gone("public again, at its first address", first)
	shown("public again", second)
	if !slices.Contains(linked(t, st, page.Photo(7)), second.Name()) {
		t.Error("the photo's page does not have the new address")
	}

	kept := st.picture(t, 8, 320)
	st.exec(t, `WITH gone AS (DELETE FROM photos WHERE id = 8 RETURNING *)
		SELECT * INTO again FROM gone`)
	gone("deleted", kept)
	st.exec(t, `INSERT INTO photos (id, user_id, image_id, width, height, color, posted_at)
		SELECT id, user_id, image_id, width, height, color, posted_at FROM again`)
	gone("deleted, and its id was used again", kept)
	shown("of an id that was used again", st.picture(t, 8, 320))

	other := st.picture(t, 9, 320)
	shown("of a user who is there", other)
	st.exec(t, "UPDATE users SET gone_at = now() WHERE id = 1")
	gone("of a user who is gone", other)
}

// TestEveryPictureOfAPageIsThere: what pages of every kind link to is the picture of a photo that is shown.
func TestEveryPictureOfAPageIsThere(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.start(t, func(c *Config) { c.BaseURL = "https://photos.example" })
	st.exec(t, "UPDATE photos SET private = true WHERE id IN (2, 3); UPDATE photos SET private = false WHERE id = 3")
	for _, ref := range []page.Ref{page.Home(), page.Explore(), page.User("ansel"), page.Albums("ansel"),
		page.Album(1), page.Tag("blue hour"), page.Photo(3), page.Photo(103), page.Search("moonrise"),
		page.Feed(page.Home()), page.Feed(page.User("ansel")), page.Feed(page.Tag("blue hour")),
		page.Feed(page.Album(1)), page.SitemapPart("photos", 1), page.OEmbed(3, "json", 0, 0)} {
		keys := linked(t, st, ref)
		if len(keys) == 0 {
			t.Errorf("%s has no picture", ref)
		}
		for _, key := range keys[:min(len(keys), 5)] {
			if reply := st.get(t, page.Image(key, 320)); reply.Status != http.StatusOK {
				t.Errorf("%s: picture %s has status %d", ref, key, reply.Status)
			}
		}
	}
}

var pictureLink = regexp.MustCompile(`/img\\?/([a-z2-7]{26})\\?/`)

// linked gives the key of each picture that a page links to, once.
func linked(t testing.TB, st *site, ref page.Ref) (keys []string) {
	t.Helper()
	for _, m := range pictureLink.FindAllSubmatch(st.get(t, ref).Body, -1) {
		if key := string(m[1]); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// BenchmarkStoredPicture asks for stored pictures of 99 photos, 320 px wide, over the bus, so many at once: the file of
// each, and its row.
func BenchmarkStoredPicture(b *testing.B) {
	for _, askers := range []int{1, 16} {
		b.Run(fmt.Sprintf("askers=%d", askers), func(b *testing.B) {
			st := newSite(b)
			s := st.start(b, func(c *Config) { c.Logger = slog.New(slog.DiscardHandler) })
			st.quiet(b)
			refs := make([]page.Ref, 0, 100)
			for photo := int64(1); photo <= 100; photo++ {
				if photo != 50 { // which is private
					refs = append(refs, st.picture(b, photo, 320))
				}
			}
			r := askTogether(b, s, page.KindImage.String(), askers, func(n int64) (*nats.Msg, error) {
				return st.nc.Request(refs[n%int64(len(refs))].Subject(), nil, 10*time.Second)
			})
			b.ReportMetric(r.MeanBatch, "pictures/query")
		})
	}
}
