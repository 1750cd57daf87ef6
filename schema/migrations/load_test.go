package migrations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"flickrkillr/ops/testenv"
	"flickrkillr/schema/migrations"
)

// catalogue describes every table with its columns' defaults, keys, indexes and triggers.
const catalogue = `
	SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated AS line
			FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT indrelid::regclass || ' ' || pg_get_indexdef(indexrelid) || indisvalid
			FROM pg_index i JOIN pg_class c ON c.oid = indrelid WHERE relnamespace = 'public'::regnamespace
		UNION ALL SELECT tgrelid::regclass || ' ' || pg_get_triggerdef(oid) || tgenabled::text
			FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT attrelid::regclass || ' ' || attname || attnotnull || attidentity::text
			FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
			WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
	) AS lines`

// load copies one user with a public and a private photo in an album.
func load(t *testing.T, tx pgx.Tx) error {
	for _, c := range []struct{ into, rows string }{
		{"users (id, name, display_name, photo_count)", "7\tberenice\tBerenice\t1\n"},
		{"images (id, bytes, width, height, color)", imageID + "\t9\t40\t30\t255\n"},
		{"photos (id, user_id, posted_at, width, height, color, private, image_id)",
			"100\t7\t2020-01-01\t40\t30\t255\tf\t" + imageID + "\n" +
				"200\t7\t2021-01-01\t40\t30\t255\tt\t" + imageID + "\n"},
		{"albums (id, user_id, title)", "50\t7\tNew York\n"},
		{"album_photos (album_id, photo_id, user_id, position)", "50\t100\t7\t1\n50\t200\t7\t2\n"},
	} {
		copySQL := "COPY " + c.into + " FROM STDIN WITH (FREEZE)"
		if _, err := tx.Conn().PgConn().CopyFrom(t.Context(), strings.NewReader(c.rows), copySQL); err != nil {
			return err
		}
	}
	return nil
}

func TestWithoutIndexes(t *testing.T) {
	t.Parallel()
	pool := site(t)
	ctx := t.Context()
	before := one[string](t, pool, catalogue)
	user := one[int64](t, pool, "SELECT max(version) FROM users")
	all := one[int64](t, pool, "SELECT version FROM epoch")

	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return migrations.WithoutIndexes(ctx, tx, func() error { return load(t, tx) }, func(int, int) {})
	})
	if err != nil {
		t.Fatal(err)
	}
	// Foreign keys hold for writes at once.
	_, err = pool.Exec(ctx, "INSERT INTO albums (user_id, title) VALUES (99, 'of nobody')")
	if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.Code != "23503" {
		t.Errorf("an album of nobody: %v", err)
	}
	for _, want := range []int{one[int](t, pool, "SELECT count(*)::int FROM pg_constraint WHERE contype = 'f'"), 0} {
		if n, err := migrations.CheckReferences(ctx, pool); err != nil || n != want {
			t.Errorf("checked %d foreign keys, %v, want %d", n, err, want)
		}
	}
	if diff := cmp.Diff(before, one[string](t, pool, catalogue)); diff != "" {
		t.Errorf("the shape changed: %s", diff)
	}
	changes := drain(t, pool)
	if told(changes) != "all!" || changes[0].Version <= all || changes[0].Version <= user {
		t.Errorf("announced %v, want one change of all above %d", changes, max(all, user))
	}
	if v := one[int64](t, pool, "SELECT version FROM users"); v <= user {
		t.Errorf("the loaded user has version %d, users before had up to %d", v, user)
	}
	checkCounts(t, pool)
	if n := one[int](t, pool, "SELECT photo_count FROM album_counts WHERE album_id = 50"); n != 1 {
		t.Errorf("the album counts %d public photos, want 1", n)
	}
	exec(t, pool, "UPDATE photos SET private = false WHERE id = 200", photoSQL(7, false))
	if got := told(drain(t, pool)); got != "user.berenice photo.200 user.berenice photo.201" {
		t.Errorf("after the load the triggers told %s", got)
	}
	checkCounts(t, pool)
}

func TestWithoutIndexesAllOrNothing(t *testing.T) {
	t.Parallel()
	pool := site(t)
	ctx := t.Context()
	refused := errors.New("no more rows")
	for what, c := range map[string]struct {
		fill func(pgx.Tx) error
		says string
	}{
		"load fails": {func(pgx.Tx) error { return refused }, refused.Error()},
		"rows break a key": {func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx,
				"INSERT INTO users (id, name, display_name) VALUES (1, 'twin', 'Twin'), (1, 'double', 'Twin')")
			return err
		}, "put back keys and triggers: "},
		"tags cannot be counted": {func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, "ALTER FUNCTION recount_tags() RENAME TO missing")
			return err
		}, "finish the load: SELECT recount_tags()"},
	} {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			return migrations.WithoutIndexes(ctx, tx, func() error { return c.fill(tx) }, func(int, int) {})
		})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error %v, want one with %q", what, err, c.says)
		}
	}
	if n := one[int](t, pool, "SELECT count(*)::integer FROM photos"); n != 4 {
		t.Errorf("%d photos are left, want all 4", n)
	}
	if got := told(drain(t, pool)); got != "" {
		t.Errorf("failed loads told %s", got)
	}
}

// Rows that refer to nothing are found by the check that follows a load, which names the key.
func TestCheckReferences(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	ctx := t.Context()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		return migrations.WithoutIndexes(ctx, tx, func() error {
			_, err := tx.Exec(ctx, "INSERT INTO albums (id, user_id, title) VALUES (1, 99, 'of nobody')")
			return err
		}, func(int, int) {})
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // It stays unchecked.
		_, err := migrations.CheckReferences(ctx, pool)
		if err == nil || !strings.Contains(err.Error(), "albums_user_id_fkey") {
			t.Errorf("error %v, want one that names the key", err)
		}
	}
	exec(t, pool, "DELETE FROM albums")
	if _, err := migrations.CheckReferences(ctx, pool); err != nil {
		t.Error(err)
	}
}

// Every table of content is known to the load, in an order that foreign keys allow.
func TestTables(t *testing.T) {
	t.Parallel()
	pool := testenv.Database(t)
	kept := map[string]bool{
		"goose_db_version": true, "outbox": true, "tombstones": true, "epoch": true, "album_counts": true,
		"action_keys": true, "tag_counts": true, "tag_deltas": true, "site": true, "heartbeat": true,
		"photo_search": true, "person_search": true, "search_words": true, "search_queue": true, "search_state": true,
		"used_challenges": true, "relay_last": true, "relayed": true, "unstored": true,
	}
	place := map[string]int{}
	for i, name := range migrations.Tables() {
		place[name] = i
	}
	names := one[string](t, pool, `SELECT string_agg(relname, ' ') FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'`)
	for _, name := range strings.Fields(names) {
		if _, listed := place[name]; listed == kept[name] {
			t.Errorf("table %s: listed %t", name, listed)
		}
	}
	keys := one[string](t, pool, `SELECT string_agg(conrelid::regclass || '>' || confrelid::regclass, ' ')
		FROM pg_constraint WHERE contype = 'f'`)
	for _, key := range strings.Fields(keys) {
		child, parent, _ := strings.Cut(key, ">")
		if place[child] < place[parent] {
			t.Errorf("%s comes before %s, which it refers to", child, parent)
		}
	}
}
