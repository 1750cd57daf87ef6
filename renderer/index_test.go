package renderer

import (
	"fmt"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// A batch that fails is divided, and an entry that fails alone keeps no other from being indexed.
func TestIndexPassesWhatFails(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	for _, sql := range []string{
		`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN
				IF (SELECT count(*) > 30 OR bool_or(photo_id = 42) FROM written) THEN
					RAISE 'refused';
				END IF;
				RETURN NULL;
			END $$`,
		"CREATE TRIGGER refuse AFTER UPDATE ON photo_search REFERENCING NEW TABLE AS written FOR EACH STATEMENT " +
			"EXECUTE FUNCTION refuse()",
		"UPDATE photos SET title = 'Heron'",
	} {
		if _, err := st.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	st.start(t, nil)
	eventually(t, 60*time.Second, func() error {
		// all but 42, and 50, which is private
		if n := count(t, st, "SELECT count(*) FROM photo_search WHERE words @@ 'heron'::tsquery"); n != 101 {
			return fmt.Errorf("%d photos are indexed", n)
		}
		return nil
	})
	if n := count(t, st, "SELECT count(*) FROM search_queue WHERE ref = 42"); n != 1 {
		t.Errorf("photo 42 waits %d times", n)
	}
	if _, err := st.pool.Exec(t.Context(), "DROP TRIGGER refuse ON photo_search"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 60*time.Second, func() error {
		if n := count(t, st, "SELECT count(*) FROM search_queue"); n != 0 {
			return fmt.Errorf("%d changes wait", n)
		}
		return nil
	})
}

// Batches become smaller when they fail or take long, and larger again.
func TestIndexerAdapts(t *testing.T) {
	t.Parallel()
	x := indexer{size: store.IndexMost}
	failed := fmt.Errorf("failed")
	for i, c := range []struct {
		took     time.Duration
		err      error
		size     int
		postpone bool
	}{
		{0, nil, 400, false}, {indexGoal + 1, nil, 200, false}, {0, failed, 100, false}, {0, failed, 50, false},
		{0, nil, 100, false},
		{0, failed, 50, false}, {0, failed, 25, false}, {0, failed, 12, false}, {0, failed, 6, false},
		{0, failed, 3, false}, {0, failed, 1, false},
		{0, failed, 1, false}, {0, failed, 1, true}, {0, failed, 1, false}, {0, nil, 2, false},
	} {
		if postpone := x.adapt(c.took, c.err); x.size != c.size || postpone != c.postpone {
			t.Errorf("after %d: %d, %t, want %d, %t", i, x.size, postpone, c.size, c.postpone)
		}
	}
}
