package renderer

import (
	"net/http"
	"strings"
	"testing"

	"flickrkillr/schema/page"
	"flickrkillr/schema/wire"
)

// TestPrivateAlbumFromStart: an album that is made private is one from the commit on that makes it, and asked for again
// it stays what its owner has made of it.
func TestPrivateAlbumFromStart(t *testing.T) {
	t.Parallel()
	st := newSite(t)
	st.scalar(t, `SELECT setval(pg_get_serial_sequence('albums', 'id'), 9)`) // the rows have ids of their own
	st.scalar(t, `WITH d AS (DELETE FROM outbox RETURNING 1) SELECT count(*) FROM d`)
	ansel := &member{st: st, t: t, user: 1}
	st.start(t, nil)
	make := func() []wire.Change {
		t.Helper()
		return changed(t, ansel.do(wire.ActionOwnAlbums, "make", "title", "Secret", "visibility", "private"))
	}
	if made := make(); len(made) != 2 || made[1].Scope != "album.10" {
		t.Fatalf("changed %v", made)
	}
	if n := st.scalar(t, `SELECT count(*) FROM albums WHERE id = 10 AND private AND xmin = (
		SELECT k.xmin FROM action_keys k ORDER BY k.at DESC LIMIT 1)`); n != 1 {
		t.Error("it is not made private by the same transaction")
	}
	if reply := st.get(t, page.Album(10)); reply.Status != http.StatusNotFound {
		t.Errorf("everybody gets %d", reply.Status)
	}
	changed(t, ansel.do(wire.ActionOwnAlbum, "show", "id", "10", "do", "show", "visibility", "public"))
	make()
	if reply := st.get(t, page.Album(10)); reply.Status != http.StatusOK {
		t.Errorf("shown, and asked for again: %d", reply.Status)
	}
	reply := ansel.do(wire.ActionOwnAlbums, "bad", "title", "Linked", "visibility", "unlisted")
	if got := ansel.problems(reply); !strings.Contains(got, "make it private") {
		t.Errorf("unlisted from the start: %s", got)
	}
}
