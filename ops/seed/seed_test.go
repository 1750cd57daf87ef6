package seed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/seed"
	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/pictures"
	"flickrkillr/schema/migrations"
)

func store(t testing.TB) *pictures.Dir {
	t.Helper()
	dir, err := pictures.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Close(); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// small is a seeding that takes a second, most of it to paint.
func small(t testing.TB, pool *pgxpool.Pool) seed.Config {
	return seed.Config{Pool: pool, Pictures: store(t), Users: 400, Photos: 6000, Originals: 16, Long: 128}
}

// smaller is small for tests of what happens to a seeding, whatever the rows: half a chunk of photos.
func smaller(t testing.TB, pool *pgxpool.Pool) seed.Config {
	c := small(t, pool)
	c.Users, c.Photos = 100, 2000
	return c
}

// ask gives the one value that a query results in, as text.
func ask(t testing.TB, pool *pgxpool.Pool, sql string, args ...any) string {
	t.Helper()
	var answer *string
	if err := pool.QueryRow(t.Context(), "SELECT ("+sql+")::text", args...).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if answer == nil {
		return "null"
	}
	return *answer
}

func TestSameSeedSameRows(t *testing.T) {
	t.Parallel()
	digest := func(number uint64) (digests string) {
		pool := testenv.Database(t)
		c := small(t, pool)
		c.Seed = number
		if err := seed.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, table := range migrations.Tables() {
			// Versions are the database's own.
			digests += table + " " + ask(
				t, pool,
				"SELECT md5(string_agg(r, E'\n' ORDER BY r COLLATE \"C\")) FROM (SELECT (to_jsonb(x) - 'version')::text AS r FROM "+table+" x) y",
			) + "\n"
		}
		return digests
	}
	first := digest(7)
	if again := digest(7); again != first {
		t.Errorf("the same seed gave other rows:\n%s\n%s", first, again)
	}
	if other := digest(8); other == first {
		t.Error("another seed gave the same rows")
	}
}

// One seeding, looked at from all sides.
func TestSeededSite(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	c := small(t, pool)
	if err := seed.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ what, sql, want string }{
		{"users", "SELECT count(*) FROM users", "400"},
		{"photos", "SELECT count(*) FROM photos", "6000"},
		{"ids without gaps", "SELECT min(id) || '-' || max(id) FROM photos", "1-6000"},
		{
			"posted in the order of ids",
			"SELECT count(*) FROM photos a JOIN photos b ON b.id = a.id + 1 WHERE b.posted_at < a.posted_at", "0",
		},
		{"taken before it was posted", "SELECT count(*) FROM photos WHERE taken_at >= posted_at", "0"},
		{
			"nothing posted before its user came",
			"SELECT count(*) FROM photos p JOIN users u ON u.id = user_id WHERE p.posted_at < u.created_at", "0",
		},
		{"nothing from the future", "SELECT count(*) FROM photos WHERE posted_at > now()", "0"},
		{
			"counts of public photos",
			"SELECT count(*) FROM users u WHERE photo_count <> (SELECT count(*) FROM photos WHERE user_id = u.id AND NOT private)",
			"0",
		},
		{"about two of a hundred private", "SELECT avg(private::int) BETWEEN 0.01 AND 0.03 FROM photos", "true"},
		{
			"no album empty",
			"SELECT count(*) FROM albums a WHERE NOT EXISTS (SELECT FROM album_photos WHERE album_id = a.id)", "0",
		},
		{
			"positions from 1 without gaps",
			"SELECT count(*) FROM (SELECT max(position) <> count(*) AS gap FROM album_photos GROUP BY album_id) x WHERE gap",
			"0",
		},
		{
			"at most 12 tags", "SELECT max(n) <= 12 FROM (SELECT count(*) AS n FROM photo_tags GROUP BY photo_id) x",
			"true",
		},
		{"two to three tags on average", "SELECT count(*) / 6000.0 BETWEEN 2 AND 3 FROM photo_tags", "true"},
		{
			"photos without tags",
			"SELECT count(*) > 1000 FROM photos p WHERE NOT EXISTS (SELECT FROM photo_tags WHERE photo_id = p.id)",
			"true",
		},
		{"a vocabulary of thousands", "SELECT count(*) > 2000 FROM tags", "true"},
		{"empty titles", "SELECT count(*) > 300 FROM photos WHERE title = ''", "true"},
		{"empty descriptions", "SELECT count(*) > 2500 FROM photos WHERE description = ''", "true"},
		{"long descriptions", "SELECT max(length(description)) > 2500 FROM photos", "true"},
		{
			"photos without camera data",
			"SELECT count(*) > 500 FROM photos WHERE camera IS NULL AND exposure IS NULL AND iso IS NULL", "true",
		},
		{"believable exposures", "SELECT count(*) FROM photos WHERE exposure !~ '^(1/[0-9]+|[0-9]+(\\.[0-9])?)$'", "0"},
		{"ansel's page", "SELECT photo_count > 300 AND length(bio) > 100 FROM users WHERE name = 'ansel'", "true"},
		{"ansel's albums", "SELECT count(*) FROM albums JOIN users u ON u.id = user_id WHERE name = 'ansel'", "8"},
		{"nothing hostile on ansel's page", "SELECT count(*) FROM photos WHERE user_id = 1 AND title ~ '[<{]'", "0"},
		{"quiet has posted nothing", "SELECT photo_count FROM users WHERE name = 'quiet'", "0"},
		{
			"triggers are on", "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'photos'::regclass AND tgenabled = 'D'",
			"0",
		},
		{
			"foreign keys are checked", "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated",
			"0",
		},
		{"statistics are there", "SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'photos'", "true"},
		{"the search index is built", "SELECT built FROM search_state", "true"},
		{
			"every public photo can be found",
			"SELECT (SELECT count(*) FROM photo_search) = (SELECT count(*) FROM photos WHERE NOT private)", "true",
		},
		{"announced once, as all", "SELECT string_agg(scope, ' ') FROM outbox", "all"},
	} {
		if got := ask(t, pool, want.sql); got != want.want {
			t.Errorf("%s: %s, want %s (%s)", want.what, got, want.want, want.sql)
		}
	}

	t.Run("scripts", func(t *testing.T) {
		for name, letters := range map[string]string{
			"Japanese": "[ぁ-ん]", "Arabic": "[ء-ي]", "Cyrillic": "[а-я]", "Devanagari": "[अ-ह]", "Greek": "[α-ω]",
			"Korean": "[가-힣]", "Hebrew": "[א-ת]", "Chinese": "[一-龥]", "emoji": "[✨🌀-🧿]",
		} {
			for table, column := range map[string]string{"photos": "title", "users": "display_name", "tags": "name"} {
				letters := letters
				if name == "emoji" && table == "tags" {
					letters = "[☀📷🌲]"
				}
				if ask(
					t, pool, fmt.Sprintf("SELECT count(*) > 0 FROM %s WHERE %s ~ $1", table, column), letters,
				) != "true" {
					t.Errorf("no %s in %s", name, table)
				}
			}
		}
	})

	t.Run("hostile", func(t *testing.T) {
		for _, text := range []string{"<script>", "'; DROP TABLE", "../", "{{", "\u202e", "\u200f", "\"><img"} {
			for _, column := range []string{"title", "description"} {
				if ask(
					t, pool, fmt.Sprintf("SELECT count(*) > 0 FROM photos WHERE strpos(%s, $1) > 0", column), text,
				) != "true" {
					t.Errorf("no %s with %q", column, text)
				}
			}
			if ask(t, pool, "SELECT count(*) > 0 FROM tags WHERE strpos(name, lower($1)) > 0", text) != "true" {
				t.Errorf("no tag with %q", text)
			}
		}
		if ask(t, pool, "SELECT count(*) > 0 FROM users WHERE strpos(display_name, '<script>') > 0") != "true" {
			t.Error("no hostile display name")
		}
	})

	t.Run("pictures", func(t *testing.T) {
		rows, err := pool.Query(t.Context(), "SELECT DISTINCT image_id, width, height FROM photos")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		n := 0
		for rows.Next() {
			var id string
			var width, height int
			if err := rows.Scan(&id, &width, &height); err != nil {
				t.Fatal(err)
			}
			n++
			if out, err := pictures.Stored(t.Context(), c.Pictures, id, 320); err != nil || len(out) == 0 {
				t.Errorf("picture %s: %v", id, err)
			}
			if max(width, height) != 128 {
				t.Errorf("picture %s is %d x %d", id, width, height)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if n < 10 {
			t.Errorf("only %d pictures are used", n)
		}
	})

	t.Run("goes on working", func(t *testing.T) {
		const insert = "WITH i AS (SELECT id, width, height, color FROM images LIMIT 1) INSERT INTO photos (user_id, image_id, width, height, color, title) SELECT 3, id, width, height, color, 'new' FROM i RETURNING id"
		var id int
		if err := pool.QueryRow(t.Context(), insert).Scan(&id); err != nil {
			t.Fatal(err)
		}
		if id != 6001 {
			t.Errorf("the next photo has id %d, want 6001", id)
		}
		if got := ask(t, pool, "SELECT photo_count FROM users WHERE name = 'quiet'"); got != "1" {
			t.Errorf("quiet has %s photos after one was added; are the triggers on?", got)
		}
	})

	t.Run("refuses to add", func(t *testing.T) {
		if err := seed.Run(t.Context(), c); !errors.Is(err, seed.ErrNotEmpty) {
			t.Errorf("Run = %v, want ErrNotEmpty", err)
		}
		if got := ask(t, pool, "SELECT count(*) FROM users"); got != "400" {
			t.Errorf("%s users after a refused seeding", got)
		}
	})
}

// A seeding that is cut short, at several places, leaves an empty database; the next one fills it.
func TestNeverHalf(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	c := small(t, pool)
	for name, when := range map[string]func(seed.Progress) bool{
		"while copying":  func(p seed.Progress) bool { return p.Stage == seed.Copying && p.Done > 5000 },
		"at the indexes": func(p seed.Progress) bool { return p.Stage == seed.Indexing && p.Done == 0 },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		c.Progress = func(p seed.Progress) {
			if when(p) {
				cancel()
			}
		}
		err := seed.Run(ctx, c)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: Run = %v, want context.Canceled", name, err)
		}
		for _, table := range migrations.Tables() {
			if got := ask(t, pool, "SELECT count(*) FROM "+table); got != "0" {
				t.Errorf("%s: %s rows in %s", name, got, table)
			}
		}
		if empty, err := seed.Empty(t.Context(), pool); err != nil || !empty {
			t.Errorf("%s: Empty = %v, %v", name, empty, err)
		}
	}
	c.Progress = nil
	if err := seed.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, pool, "SELECT count(*) FROM photos"); got != "6000" {
		t.Errorf("%s photos after the whole seeding", got)
	}
}

// What the front page and the first users' pages show is painted larger than the rest.
func TestShownFirstIsLarger(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	c := small(t, pool)
	c.Originals, c.Long, c.LongFirst = 120, 48, 96
	if err := seed.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for what, sql := range map[string]string{
		"newest":     "SELECT * FROM photos WHERE NOT private ORDER BY id DESC LIMIT 48",
		"most liked": "SELECT * FROM photos WHERE NOT private AND faves > 0 ORDER BY faves DESC, id DESC LIMIT 10",
		"ansel's":    "SELECT * FROM photos WHERE NOT private AND user_id = 1 ORDER BY id DESC LIMIT 48",
		"mallory's":  "SELECT * FROM photos WHERE NOT private AND user_id = 2 ORDER BY id DESC LIMIT 48",
	} {
		if got := ask(
			t, pool, "SELECT min(greatest(width, height)) || '-' || max(greatest(width, height)) FROM ("+sql+") x",
		); got != "96-96" {
			t.Errorf("%s: pictures of %s pixels, want 96", what, got)
		}
	}
	if got := ask(t, pool, "SELECT count(*) > 20 FROM images WHERE greatest(width, height) = 48"); got != "true" {
		t.Error("hardly any picture is of the smaller size")
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	c := smaller(t, testenv.Database(t))
	var stages []seed.Stage
	var last seed.Progress
	c.Progress = func(p seed.Progress) {
		if p.Stage != last.Stage {
			stages = append(stages, p.Stage)
			last = seed.Progress{Stage: p.Stage}
		}
		if p.Done < last.Done || p.Done > p.Total {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}
	if err := seed.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprint(
		[]seed.Stage{seed.Copying, seed.Indexing, seed.Searching, seed.Painting},
	); fmt.Sprint(stages) != want {
		t.Errorf("stages %v, want %v", stages, want)
	}
	if last.Done != last.Total {
		t.Errorf("ended with %+v", last)
	}
}

func TestTinySites(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{1, 1}, {1, 20}, {2, 3}, {3, 2}, {4, 1}, {50, 7}} {
		pool := testenv.Database(t)
		c := seed.Config{Pool: pool, Pictures: store(t), Users: size[0], Photos: size[1], Originals: 2, Long: 64}
		if err := seed.Run(t.Context(), c); err != nil {
			t.Errorf("%v: %v", size, err)
			continue
		}
		if got, want := ask(
			t, pool, "SELECT (SELECT count(*) FROM users) || ' ' || (SELECT count(*) FROM photos)",
		), fmt.Sprint(c.Users, " ", c.Photos); got != want {
			t.Errorf("%v: %s, want %s", size, got, want)
		}
	}
}

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	c := smaller(t, pool)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(x'73656564'::int)"); err != nil {
		t.Fatal(err)
	}
	if err := seed.Run(t.Context(), c); !errors.Is(err, seed.ErrBusy) {
		t.Errorf("Run = %v, want ErrBusy", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestDiskTooFull(t *testing.T) {
	t.Parallel()
	c := smaller(t, testenv.Database(t))
	c.Disk, c.Photos = t.TempDir(), 1_000_000_000_000
	err := seed.Run(t.Context(), c)
	var space *seed.SpaceError
	if !errors.As(err, &space) {
		t.Fatalf("Run = %v, want a SpaceError", err)
	}
	for _, part := range []string{c.Disk, fmt.Sprint(space.Needed), fmt.Sprint(space.Available)} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
}

// A filled site shows a draft of every picture. Painting gives the originals, also after it was cut short, and after
// originals were lost.
func TestPaintAfterFill(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	c := smaller(t, pool)
	c.Long, c.LongFirst = 700, 720
	if err := seed.Fill(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	ids := imageIDs(t, pool)
	if len(ids) != c.Originals {
		t.Fatalf("%d pictures, want %d", len(ids), c.Originals)
	}
	for _, id := range ids {
		const widthOf = "SELECT least(width, CASE greatest(width, height) WHEN 720 THEN 480 ELSE 320 END) " +
			"FROM images WHERE id = $1"
		width, err := strconv.Atoi(ask(t, pool, widthOf, id)) // Pictures of 720 pixels are on the first pages.
		if err != nil {
			t.Fatal(err)
		}
		draft, err := pictures.Stored(t.Context(), c.Pictures, id, 1280)
		if !errors.Is(err, pictures.ErrDraft) {
			t.Errorf("%s before it is painted: %v, want ErrDraft", id, err)
			continue
		}
		// A portrait's height is whole pixels, so its width may be one less.
		header, err := jpeg.DecodeConfig(bytes.NewReader(draft))
		if err != nil || header.Width > width || header.Width < width-2 {
			t.Errorf("the draft of %s is %d wide, %v, want %d", id, header.Width, err, width)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.Progress = func(p seed.Progress) {
		if p.Done == 3 {
			cancel()
		}
	}
	if _, err := seed.Paint(ctx, c, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Paint = %v, want context.Canceled", err)
	}
	if n := originals(t, c, ids); n != 3 {
		t.Errorf("%d originals after the painting was cut short, want 3", n)
	}
	c.Progress = nil
	for _, want := range []int{len(ids) - 3, 0, 1} {
		if want == 1 { // One is lost.
			if err := c.Pictures.Delete(t.Context(), ids[0]); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := seed.Paint(t.Context(), c, 2); err != nil || n != want {
			t.Errorf("Paint = %d, %v, want %d", n, err, want)
		}
		if n := originals(t, c, ids); n != len(ids) {
			t.Errorf("%d originals, want %d", n, len(ids))
		}
	}
	for _, id := range ids { // The size in the database is the file's.
		file, err := c.Pictures.Open(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(io.Discard, file)
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		if got := ask(t, pool, "SELECT bytes FROM images WHERE id = $1", id); got != fmt.Sprint(n) {
			t.Errorf("%s has %d bytes, and %s in the database", id, n, got)
		}
	}
}

func imageIDs(t testing.TB, pool *pgxpool.Pool) []string {
	t.Helper()
	return strings.Fields(ask(t, pool, "SELECT string_agg(id, ' ' ORDER BY id) FROM images"))
}

// originals counts the originals in the store.
func originals(t testing.TB, c seed.Config, ids []string) (n int) {
	t.Helper()
	for _, id := range ids {
		if file, err := c.Pictures.Open(t.Context(), id); err == nil {
			n++
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	return n
}

var errFull = errors.New("the disk is full")

// fullStore is a picture store that takes a number of files and then no more.
type fullStore struct {
	pictures.Store
	room atomic.Int64
}

func (s *fullStore) Put(ctx context.Context, name string, r io.Reader) error {
	if s.room.Add(-1) < 0 {
		return errFull
	}
	return s.Store.Put(ctx, name, r)
}

// A disk that is full while drafts are stored leaves an empty database, or one that Draft and Finish complete.
func TestFillOnFullDisk(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	c := smaller(t, pool)
	full := &fullStore{Store: c.Pictures}
	full.room.Store(3)
	c.Pictures = full
	if err := seed.Fill(t.Context(), c); !errors.Is(err, errFull) {
		t.Fatalf("Fill = %v, want that the disk is full", err)
	}
	if empty, err := seed.Empty(t.Context(), pool); err != nil {
		t.Fatal(err)
	} else if empty { // Fill begins again.
		full.room.Store(1000)
		if err := seed.Fill(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	full.room.Store(1000)
	if err := seed.Draft(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	ids := imageIDs(t, pool)
	for _, id := range ids {
		if _, err := pictures.Stored(t.Context(), c.Pictures, id, 640); !errors.Is(err, pictures.ErrDraft) {
			t.Errorf("%s: %v, want ErrDraft", id, err)
		}
	}
	for _, want := range []bool{true, false} {
		if did, err := seed.Finish(t.Context(), c); err != nil || did != want {
			t.Errorf("Finish = %t, %v, want %t", did, err, want)
		}
	}
	if n := originals(t, c, ids); n != len(ids) {
		t.Errorf("%d originals, want %d", n, len(ids))
	}
	if built := ask(t, pool, "SELECT built FROM search_state"); built != "true" {
		t.Errorf("the search index is built: %s", built)
	}
}

// A refused Fill leaves no file behind.
func TestRefusedFillStoresNothing(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(x'73656564'::int)"); err != nil {
		t.Fatal(err)
	}
	c := smaller(t, pool)
	none := &fullStore{Store: c.Pictures}
	c.Pictures = none
	if err := seed.Fill(t.Context(), c); !errors.Is(err, seed.ErrBusy) {
		t.Errorf("Fill = %v, want ErrBusy", err)
	}
	if n := none.room.Load(); n != 0 {
		t.Errorf("%d files were stored", -n)
	}
}

// A photo that somebody uploaded is never painted over, whatever its id.
func TestPaintLeavesOthers(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	c := smaller(t, pool)
	if err := seed.Fill(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), "UPDATE images SET width = 100, height = 100"); err != nil {
		t.Fatal(err)
	}
	if _, err := seed.Paint(t.Context(), c, 0); err != nil {
		t.Fatal(err)
	}
	for _, id := range strings.Fields(ask(t, pool, "SELECT string_agg(id, ' ') FROM images")) {
		if _, err := c.Pictures.Open(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
