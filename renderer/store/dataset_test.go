package store_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/store"
	"flickrkillr/schema/migrations"
)

// fillDataset replaces the content by generated users and photos, skewed as real ones are: few users have many photos,
// few words and tags are in many titles, 3% of the photos are private. User 1 has the most; its name is u1. Four words
// have a known frequency: "sunset" is in 8% of the titles, "foxglove" in one photo of 1,000, "xylograph" in one of
// 50,000, and "analog" in half of the oldest tenth and nowhere else. Titles of private photos contain "hushhush".
func fillDataset(t testing.TB, pool *pgxpool.Pool, users, photos int) {
	t.Helper()
	ctx := t.Context()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }() // after a commit: nothing
	d := dataset{rand: rand.New(rand.NewPCG(1, 2)), users: users, photos: photos, counts: make([]int, users+1)}
	fill := func() error { return d.copyTo(t, tx) }
	if err := migrations.WithoutIndexes(ctx, tx, fill, func(int, int) {}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
}

type dataset struct {
	rand          *rand.Rand
	users, photos int
	counts        []int // public photos of a user
}

func (d *dataset) copyTo(t testing.TB, tx pgx.Tx) error {
	var tags, members [][]any
	began := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	for id := 1; id <= 300; id++ {
		if _, err := tx.Exec(t.Context(),
			"INSERT INTO images (id, bytes, width, height, color) VALUES ($1, 1000000, 4000, $2, $3)",
			imageID(id), 2000+id*7, id*5000); err != nil {
			return err
		}
	}
	position := make([]int, d.users*3+3)
	photo := func(i int) ([]any, error) {
		id, owner := i+1, 1+d.skewed(d.users, 5)
		private := d.rand.IntN(100) < 3
		if !private {
			d.counts[owner]++
		}
		for _, tag := range d.distinct(id % 4) {
			tags = append(tags, []any{id, tag})
		}
		if album := (owner-1)*3 + 1 + id%3; owner <= d.users/20 && id%7 == 0 {
			position[album]++
			members = append(members, []any{album, id, owner, position[album]})
		}
		image := 1 + id%300
		return []any{id, owner, began.Add(time.Duration(id) * 5 * time.Minute), 4000, 2000 + image*7, image * 5000,
			d.skewed(500, 6), private,
			imageID(image), "Nikon FM2", d.title(id, private), d.words(id % 2 * (id % 40))}, nil
	}
	if err := copyRows(t, tx, d.photos, photo, "photos", "id", "user_id", "posted_at", "width", "height", "color",
		"faves", "private",
		"image_id", "camera", "title", "description"); err != nil {
		return err
	}
	user := func(i int) ([]any, error) {
		return []any{i + 1, fmt.Sprint("u", i+1), d.words(2), strings.Repeat("bio ", i%9), d.counts[i+1]}, nil
	}
	if err := copyRows(t, tx, d.users, user, "users", "id", "name", "display_name", "bio", "photo_count"); err != nil {
		return err
	}
	tag := func(i int) ([]any, error) { return []any{i + 1, fmt.Sprint(word(i), " ", i)}, nil }
	if err := copyRows(t, tx, tagCount, tag, "tags", "id", "name"); err != nil {
		return err
	}
	album := func(i int) ([]any, error) { return []any{i + 1, 1 + i/3, fmt.Sprint("Album ", i)}, nil }
	if err := copyRows(t, tx, d.users/20*3, album, "albums", "id", "user_id", "title"); err != nil {
		return err
	}
	if err := copyRows(t, tx, len(tags), func(i int) ([]any, error) { return tags[i], nil }, "photo_tags", "photo_id",
		"tag_id"); err != nil {
		return err
	}
	return copyRows(t, tx, len(members), func(i int) ([]any, error) { return members[i], nil }, "album_photos",
		"album_id", "photo_id", "user_id", "position")
}

func copyRows(t testing.TB, tx pgx.Tx, n int, row func(int) ([]any, error), table string, columns ...string) error {
	_, err := tx.CopyFrom(t.Context(), pgx.Identifier{table}, columns, pgx.CopyFromSlice(n, row))
	return err
}

const tagCount = 2000

func imageID(n int) string {
	return strings.Repeat("a", 20) + strings.Map(func(c rune) rune { return c + 'g' - '0' }, fmt.Sprintf("%06d", n))
}

// skewed gives a number below n, the smaller the likelier.
func (d *dataset) skewed(n int, power float64) int {
	return int(float64(n) * math.Pow(d.rand.Float64(), power))
}

func (d *dataset) distinct(n int) []int {
	var chosen []int
	for tag := 1 + d.skewed(tagCount-10, 3); len(chosen) < n; tag++ {
		chosen = append(chosen, tag)
	}
	return chosen
}

func (d *dataset) title(id int, private bool) string {
	var parts []string
	for _, word := range []struct {
		text string
		in   bool
	}{
		{"Sunset", d.rand.IntN(100) < 8},
		{"analog", id < d.photos/10 && d.rand.IntN(2) == 0},
		{"foxglove", id%1000 == 7},
		{"xylograph", id%50000 == 77},
		{"hushhush", private},
		{d.words(id % 4), id%4 > 0},
	} {
		if word.in {
			parts = append(parts, word.text)
		}
	}
	return strings.Join(parts, " ")
}

func (d *dataset) words(n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = word(d.skewed(5000, 3))
	}
	return strings.Join(parts, " ")
}

// word gives the nth of 8,000 words.
func word(n int) string {
	syllables := [...]string{"ka", "lo", "mi", "ren", "tas", "vor", "eth", "an", "sil", "du", "pra", "no", "gel",
		"ist", "ur", "bem", "ox", "hy", "cre", "fal"}
	return syllables[n%20] + syllables[n/20%20] + syllables[n/400%20]
}

// onePhoto reads the page of one photo.
func onePhoto(ctx context.Context, s *store.Store, id int64) (store.PhotoPage, error) {
	pages, err := s.Photos(ctx, []int64{id})
	if err != nil {
		return store.PhotoPage{}, err
	}
	return pages[0], nil
}
