package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/query"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// open gives a fresh database, to read the way a renderer does, and to prepare through a pool without a renderer's
// timeouts.
func open(t testing.TB) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	return openURL(t, testenv.DatabaseURL(t))
}

func openURL(t testing.TB, url string) (*store.Store, *pgxpool.Pool) {
	t.Helper()
	return store.New(openPool(t, url)), testenv.Pool(t, url)
}

func openPool(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := store.OpenPool(t.Context(), url, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func exec(t testing.TB, pool *pgxpool.Pool, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// queryer is a pool or a transaction.
type queryer interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func one[T any](t testing.TB, pool queryer, sql string, args ...any) T {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// eventually waits for a condition that no channel tells of. Its limit is shorter than an action's own, 15 s.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	testenv.Within(t, 10*time.Second, what, ok)
}

// oneByOne makes a function that removes originals one that may be called concurrently.
func oneByOne(remove func(id string) (store.Freed, error)) func(context.Context, string) (store.Freed, error) {
	var mu sync.Mutex
	return func(_ context.Context, id string) (store.Freed, error) {
		mu.Lock()
		defer mu.Unlock()
		return remove(id)
	}
}

// rested makes it the time at which an original is taken again whose removal failed.
func rested(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	exec(t, pool, "UPDATE unused_images SET due_at = now() WHERE NOT again")
}

// people adds users ansel (1) and vivian (2) without photos, and an image.
func people(t testing.TB, pool *pgxpool.Pool) {
	t.Helper()
	exec(t, pool,
		"INSERT INTO users (name, display_name, bio) "+
			"VALUES ('ansel', 'Ansel Adams', 'Mountains'), ('vivian', 'Vivian Maier', '')",
		"INSERT INTO images (id, bytes, width, height, color) VALUES ('"+imageID(1)+"', 9, 40, 30, 255)")
}

func photoSQL(owner, title string) string {
	return "INSERT INTO photos (user_id, image_id, width, height, color, title) VALUES (" + owner + ", '" +
		imageID(1) + "', 40, 30, 255, '" + title + "')"
}

func version(d store.Depends, scope string) int64 {
	for _, dep := range d {
		if dep.Scope == scope {
			return dep.Version
		}
	}
	return -1
}

// searchFor searches, best matches first.
func searchFor(ctx context.Context, s *store.Store, text string, before int64) (store.SearchPage, error) {
	q := query.Parse(text)
	return s.Search(ctx, &q, page.SortRelevance, before)
}

// buildSearch makes the search index of what a bulk load left without.
func buildSearch(t testing.TB, s *store.Store) {
	t.Helper()
	if built, err := s.BuildSearch(t.Context()); err != nil || !built {
		t.Fatalf("built %t: %v", built, err)
	}
}

// index brings the search index up to date.
func index(t testing.TB, s *store.Store) {
	t.Helper()
	for {
		n, err := s.IndexOnce(t.Context(), store.IndexMost)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}
