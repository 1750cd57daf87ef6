package migrations_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
)

const (
	writers       = 8
	writesEach    = 150
	usersWritten  = 6
	photosWritten = 60
)

// Writers whose statements touch the same users and photos, many at a time and in any order, must not deadlock, and
// must leave every count and version as if they had come one after the other.
func TestConcurrentWriters(t *testing.T) {
	t.Parallel()
	pool := site(t)
	exec(t, pool,
		fmt.Sprintf(`INSERT INTO users (id, name, display_name)
			SELECT g, 'w' || g, 'W' FROM generate_series(10, %d) g`, 9+usersWritten),
		fmt.Sprintf(`INSERT INTO photos (id, user_id, image_id, width, height, color)
			SELECT g, 10 + g %% %d, '%s', 40, 30, 255 FROM generate_series(1001, %d) g`,
			usersWritten, imageID, 1000+photosWritten),
		fmt.Sprintf(`INSERT INTO albums (id, user_id, title)
			SELECT g, g, 'A' FROM generate_series(10, %d) g`, 9+usersWritten),
		`INSERT INTO album_photos (album_id, photo_id, user_id, position)
			SELECT user_id, id, user_id, id FROM photos WHERE id > 1000 AND id % 2 = 0`)
	drain(t, pool)

	group, ctx := errgroup.WithContext(t.Context())
	for writer := range writers {
		random := rand.New(rand.NewPCG(uint64(writer), 1))
		group.Go(func() error { return write(ctx, pool, random) })
	}
	counting, stop := context.WithCancel(t.Context())
	defer stop()
	var counters errgroup.Group
	for range 2 {
		counters.Go(func() error {
			for counting.Err() == nil {
				if _, err := pool.Exec(t.Context(), "SELECT count_tags(20)"); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	stop()
	if err := errors.Join(err, counters.Wait()); err != nil {
		t.Fatal(err)
	}
	checkVersions(t, pool, newestOnly(drain(t, pool)))
	checkCounts(t, pool)
}

// write makes statements that each touch several owners, or one owner along several ways.
func write(ctx context.Context, pool *pgxpool.Pool, random *rand.Rand) error {
	photo := func() int { return 1001 + random.IntN(photosWritten) }
	owner := func() int { return 10 + random.IntN(usersWritten) }
	for range writesEach {
		var sql string
		var args []any
		switch random.IntN(8) {
		case 0:
			sql, args = "UPDATE photos SET private = NOT private WHERE id = $1", []any{photo()}
		case 1:
			sql, args = "INSERT INTO photo_tags SELECT $1, 2 ON CONFLICT DO NOTHING", []any{photo()}
		case 2:
			sql, args = "DELETE FROM photo_tags WHERE photo_id = $1", []any{photo()}
		case 3:
			sql, args = "UPDATE albums SET title = 'B' || $2 WHERE id = $1", []any{owner(), fmt.Sprint(random.IntN(9))}
		case 4:
			sql, args = "UPDATE users SET bio = $2 WHERE id = $1", []any{owner(), fmt.Sprint(random.IntN(9))}
		case 5:
			sql = `INSERT INTO album_photos SELECT user_id, id, user_id, id FROM photos WHERE id = $1
				ON CONFLICT (album_id, photo_id) DO NOTHING`
			args = []any{photo()}
		case 6:
			sql, args = "DELETE FROM album_photos WHERE photo_id = $1", []any{photo()}
		case 7: // owners in a random order
			sql = fmt.Sprintf(`INSERT INTO photos (user_id, image_id, width, height, color)
				SELECT 10 + g, '%s', 40, 30, 255 FROM generate_series(0, %d) g ORDER BY random()`, imageID, usersWritten-1)
		}
		if _, err := pool.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// newestOnly leaves the newest change of each scope: a writer takes its id in the outbox before the lock, so order says
// little.
func newestOnly(changes []change) []change {
	newest := map[string]change{}
	for _, c := range changes {
		if c.Version > newest[c.Scope].Version {
			newest[c.Scope] = c
		}
	}
	var out []change
	for _, c := range newest {
		out = append(out, c)
	}
	return out
}

// A plan kept from a single row must not serve 5,000: joining the transition tables in a loop takes 25 million turns.
func TestManyRowsAfterOne(t *testing.T) {
	t.Parallel()
	pool := site(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	run := func(sql string) {
		if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	run("SET statement_timeout = '20s'")
	for range 7 {
		run("UPDATE photos SET title = title || 'x' WHERE id = 1")
		run("UPDATE photo_tags SET tag_id = 3 - tag_id WHERE photo_id = 1")
		run("UPDATE users SET bio = bio || 'x' WHERE id = 1")
		run(photoSQL(1, false))
	}
	run("INSERT INTO users (name, display_name) SELECT 'many' || g, 'M' FROM generate_series(1, 5000) g")
	run("INSERT INTO photos (user_id, image_id, width, height, color) " +
		"SELECT id, '" + imageID + "', 40, 30, 255 FROM users ORDER BY id")
	run("INSERT INTO photo_tags SELECT id, 2 FROM photos WHERE id > 100")
	run("UPDATE photos SET title = 'y'")
	run("UPDATE photos SET private = true")
	run("UPDATE photos SET private = false")
	run("UPDATE photo_tags SET tag_id = 1 WHERE photo_id > 100")
	run("UPDATE users SET bio = 'y'")
	checkCounts(t, pool)
}
