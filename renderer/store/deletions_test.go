package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"flickrkillr/renderer/store"
)

// shownOfAnsel counts what pages show of ansel and of photos 1 to 4, by page.
func shownOfAnsel(t *testing.T, s *store.Store) map[string]int {
	t.Helper()
	ctx := t.Context()
	n := map[string]int{}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	count := func(page string, cards []store.Card) {
		for _, c := range cards {
			if c.Name == "ansel" || c.ID <= 4 {
				n[page]++
			}
		}
	}
	users, err := s.Users(ctx, []store.UserQuery{{Name: "ansel"}})
	check(err)
	if users[0].User != nil {
		n["user"]++
	}
	photos, err := s.Photos(ctx, []int64{1, 2, 3, 4})
	check(err)
	for _, p := range photos {
		if p.Photo != nil {
			n["photo"]++
		}
	}
	album, err := s.Album(ctx, 1, 0, 0)
	check(err)
	if album.Album != nil {
		n["album"]++
	}
	albums, err := s.Albums(ctx, "ansel", 0, 0)
	check(err)
	n["albums"] = len(albums.Covers)
	home, err := s.Home(ctx, 0, 0)
	check(err)
	count("home", home.Photos)
	tag, err := s.Tag(ctx, "sea", 0, 0)
	check(err)
	count("tag", tag.Photos)
	for name, read := range map[string]func() (store.FeedPage, error){
		"feed":       func() (store.FeedPage, error) { return s.Feed(ctx, "ansel") },
		"home feed":  func() (store.FeedPage, error) { return s.HomeFeed(ctx) },
		"tag feed":   func() (store.FeedPage, error) { return s.TagFeed(ctx, "sea") },
		"album feed": func() (store.FeedPage, error) { return s.AlbumFeed(ctx, 1) },
	} {
		feed, err := read()
		check(err)
		for _, e := range feed.Entries {
			if e.Name == "ansel" {
				n[name]++
			}
		}
	}
	for name, read := range map[string]func(context.Context, int64) (store.SitemapPart, error){
		"sitemap of photos": s.SitemapPhotos, "sitemap of users": s.SitemapUsers, "sitemap of albums": s.SitemapAlbums,
	} {
		part, err := read(ctx, 1)
		check(err)
		for _, row := range part.Rows {
			if row.Name == "ansel" || row.ID <= 4 && name != "sitemap of users" {
				n[name]++
			}
		}
	}
	found, err := searchFor(ctx, s, "ansel", 0)
	check(err)
	count("search", found.Photos)
	n["people"] = len(found.People)
	return n
}

// TestDeleteAccount: from the action on no page shows anything of the person, though the rows go in steps, which other
// processes go on with.
func TestDeleteAccount(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, pool := open(t)
	album(t, pool)
	exec(t, pool, "INSERT INTO accounts (user_id, password, email) VALUES (1, '"+passwordHash+"', 'a@photos.example')",
		"INSERT INTO recovery_codes VALUES (1, sha256('a'))",
		`INSERT INTO passkeys (user_id, credential, host, label, sign_count, record)
			VALUES (1, 'c', 'h', 'l', 0, '{}')`,
		"INSERT INTO shares (user_id, album_id, name, nonce, hash) "+
			"VALUES (1, 1, '', substr(sha256('n'), 1, 16), sha256('s'))")
	index(t, s)
	want := store.Holdings{Photos: 4, Albums: 1, Tags: 2, Files: 1, Codes: 1, Passkeys: 1, Emails: 1, Shares: 1}
	if had, err := s.Holdings(ctx, 1); err != nil || had != want {
		t.Errorf("the form says %+v, %v; want %+v", had, err, want)
	}
	if n := one[int64](t, pool, "SELECT photos + files + tags FROM holdings(1, 2)"); n != 2+1+1 {
		t.Errorf("of two photos the form counts %d photos, files and tags", n)
	}
	before := shownOfAnsel(t, s)
	for page, n := range before {
		if n == 0 {
			t.Errorf("before: the page %s shows nothing", page)
		}
	}
	receipt := []byte(strings.Repeat("r", 32))
	other := strings.Replace(passwordHash, "aGFz", "AAAA", 1)
	if _, err := s.DeleteAccount(ctx, "key", 1, other, receipt, 2, 3); !errors.Is(err, store.ErrChanged) {
		t.Errorf("with another password: %v", err)
	}
	changes, err := s.DeleteAccount(ctx, "key", 1, passwordHash, receipt, 2, 3)
	if err != nil || len(changes) != 1 || changes[0].Scope != "user.ansel" || !changes[0].Gone {
		t.Fatalf("%+v, %v", changes, err)
	}
	again, err := s.DeleteAccount(ctx, "key", 1, passwordHash, receipt, 2, 3)
	if err != nil || len(again) != 1 || again[0] != changes[0] {
		t.Errorf("again: %+v, %v", again, err)
	}
	hidden := func() {
		t.Helper()
		for page, n := range shownOfAnsel(t, s) {
			if n != 0 {
				t.Errorf("the page %s shows %d", page, n)
			}
		}
	}
	hidden()
	if d, err := s.DeletionOf(ctx, receipt); err != nil || d.Had.Photos != 0 || d.Had.Codes != 1 {
		t.Errorf("the action itself has counted %+v, %v", d, err)
	}
	if users, err := s.Users(ctx, []store.UserQuery{{Name: "ansel"}}); err != nil ||
		version(users[0].Depends, "user.ansel") != changes[0].Version {
		t.Errorf("the page that says so has another version than the action: %v, %v", users, err)
	}
	if _, err := s.SignUp(ctx, "new", "ansel", passwordHash, "", nil); !errors.Is(err, store.ErrTaken) {
		t.Errorf("the name while rows are left: %v", err)
	}
	files := map[string]int{}
	remove := oneByOne(func(id string) (store.Freed, error) {
		files[id]++
		return store.Freed{Files: 3, Bytes: 40}, nil
	})
	if n, err := s.RemoveUnused(ctx, remove); n != 0 || err != nil {
		t.Errorf("files go before rows: %d, %v", n, err)
	}
	exec(t, pool, photoSQL("2", "of the same file"))
	for steps := 0; ; steps++ {
		cut, cancel := context.WithCancel(ctx)
		if steps%2 == 1 {
			cancel() // whoever does it is killed
		}
		user, err := s.DeleteRows(cut, 0)
		cancel()
		hidden()
		if err == nil && user == 0 || steps > 20 {
			break
		}
	}
	if n, err := s.RemoveUnused(ctx, remove); err != nil || n == 0 || len(files) != 0 {
		t.Errorf("an original that somebody else shows: %d, %v, removed %v", n, err, files)
	}
	var revoked []store.Revocation
	failing := errors.New("no bucket")
	broken := func(context.Context, store.Revocation) error { return failing }
	if err := s.Revoke(ctx, broken); !errors.Is(err, failing) {
		t.Errorf("a failed revocation: %v", err)
	}
	if err := s.Revoke(ctx, func(_ context.Context, r store.Revocation) error {
		revoked = append(revoked, r)
		return nil
	}); err != nil || len(revoked) != 1 || revoked[0].User != 1 {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	learned := func(at int64, all bool, missing ...string) {
		t.Helper()
		edges := map[string]time.Time{"edge.a.1": time.UnixMicro(at)}
		deletion := one[int64](t, pool, "SELECT id FROM deletions")
		if err := s.EdgesLearned(ctx, deletion, edges, missing, all); err != nil {
			t.Error(err)
		}
	}
	if next, err := s.NextUnknown(ctx, 2); err != nil || len(next) != 1 || next[0].Scope() != "user.ansel" {
		t.Errorf("edges to ask: %+v, %v", next, err)
	}
	learned(5, true, "edge.b.2", "edge.c.3")
	if next, err := s.NextUnknown(ctx, 2); err != nil || len(next) != 0 {
		t.Errorf("edges are asked again at once: %+v, %v", next, err)
	}
	learned(9, false)
	waiting, err := s.DeletionOf(ctx, receipt)
	if err != nil || len(waiting.Edges) != 3 || !waiting.EdgesKnowAt.IsZero() {
		t.Errorf("while two edges are missing: %+v, %v", waiting, err)
	}
	learned(9, true)
	d, err := s.DeletionOf(ctx, receipt)
	if err != nil {
		t.Fatal(err)
	}
	if d.Had != want || d.Sessions != 2 || d.Tokens != 3 || d.FilesKept != 1 || d.FilesRemoved != 0 ||
		len(d.Edges) != 1 || d.EdgesKnowAt.IsZero() || d.RowsGoneAt.IsZero() || d.RevokedAt.IsZero() ||
		len(d.PhotoIDs) != 4 || len(d.AlbumIDs) != 1 ||
		!d.Edges["edge.a.1"].Equal(time.UnixMicro(5)) {
		t.Errorf("%+v", d)
	}
	exec(t, pool, "DELETE FROM photos WHERE user_id = 2")
	if n, err := s.RemoveUnused(ctx, remove); err != nil || n != 1 || files[imageID(1)] != 1 {
		t.Errorf("the last photo of an original: %d, %v, removed %v", n, err, files)
	}
	if _, err := s.SignUp(ctx, "new", "ansel", passwordHash, "", nil); !errors.Is(err, store.ErrTaken) {
		t.Errorf("the name: %v", err)
	}
	exec(t, pool, "UPDATE kept_names SET kept_until = now() - interval '1 s'",
		"UPDATE deletions SET rows_gone_at = now() - interval '40 days'")
	if err := s.ForgetDeletions(ctx, 30*24*time.Hour); err != nil {
		t.Error(err)
	}
	if _, err := s.DeletionOf(ctx, receipt); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an old receipt: %v", err)
	}
	if _, err := s.SignUp(ctx, "newer", "ansel", passwordHash, "", nil); err != nil {
		t.Errorf("the name after its time: %v", err)
	}
}

// named is an SQL command that makes a user.
func named(id, name string) string {
	return "INSERT INTO users (id, name, display_name) OVERRIDING SYSTEM VALUE VALUES (" + id + ", '" + name + "', 'D')"
}

// TestRemoveUnused: an original goes with its last photo, whatever else waits, and one that cannot be removed keeps
// none of the others waiting.
func TestRemoveUnused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, pool := open(t)
	exec(t, pool, named("1", "ansel"), named("2", "dorothea"),
		`INSERT INTO images (id, bytes, width, height, color)
			SELECT lpad(translate(g::text, '0123456789', 'abcdefghij'), 26, 'a'), 9, 40, 30, 255
			FROM generate_series(200, 259) g`,
		`INSERT INTO photos (user_id, image_id, width, height, color, title)
			SELECT CASE WHEN g < 257 THEN 1 ELSE 2 END,
				lpad(translate(g::text, '0123456789', 'abcdefghij'), 26, 'a'), 40, 30, 255, g::text
			FROM generate_series(200, 259) g`,
		"INSERT INTO accounts (user_id, password) VALUES (1, '"+passwordHash+"')",
		"DELETE FROM photos WHERE title IN ('200', '201')") // before the account: no part of the receipt
	receipt := []byte(strings.Repeat("r", 32))
	if _, err := s.DeleteAccount(ctx, "key", 1, passwordHash, receipt, 0, 0); err != nil {
		t.Fatal(err)
	}
	if user, err := s.DeleteRows(ctx, 0); user != 1 || err != nil {
		t.Fatal(user, err)
	}
	exec(t, pool, "DELETE FROM photos WHERE user_id = 2")
	files := map[string]int{}
	broken := errors.New("read-only")
	failing := strings.Repeat("a", 23) + "cfh" // of photo 257
	remove := oneByOne(func(id string) (store.Freed, error) {
		if id == failing {
			return store.Freed{}, broken
		}
		files[id]++
		return store.Freed{Files: 3, Bytes: 40}, nil
	})
	for last := int64(1); last != 0; {
		user, err := s.DeleteRows(ctx, last)
		if err != nil {
			t.Fatal(err)
		}
		last = user
	}
	for n := 1; n > 0; {
		var err error
		if n, err = s.RemoveUnused(ctx, remove); err != nil && !errors.Is(err, broken) {
			t.Fatal(err)
		}
	}
	d, err := s.DeletionOf(ctx, receipt)
	if err != nil || d.Had.Files != 55 || d.FilesRemoved != 55 || d.FilesKept != 0 || d.FreedFiles != 3*55 ||
		d.FreedBytes != 40*55 || d.FilesGoneAt.IsZero() || len(files) != 59 {
		t.Errorf("%+v, %v; removed %d files", d, err, len(files))
	}
	failing = ""
	if n, err := s.RemoveUnused(ctx, remove); n != 0 || err != nil {
		t.Errorf("the one that could not be removed is tried again at once: %d, %v", n, err)
	}
	rested(t, pool)
	if n, err := s.RemoveUnused(ctx, remove); n != 1 || err != nil || len(files) != 60 {
		t.Errorf("the one that could not be removed: %d, %v", n, err)
	}
}

// TestDeletionsInTurn: a user whose rows cannot be deleted keeps no other user's from being deleted.
func TestDeletionsInTurn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, pool := open(t)
	for id, name := range []string{"ansel", "dorothea"} {
		user := int64(id + 1)
		exec(t, pool, named(fmt.Sprint(user), name), fmt.Sprintf(
			"INSERT INTO accounts (user_id, password) VALUES (%d, '%s')", user, passwordHash))
		receipt := []byte(strings.Repeat(name[:1], 32))
		if _, err := s.DeleteAccount(ctx, name, user, passwordHash, receipt, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	exec(t, pool, "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "+
		"$$ BEGIN IF OLD.id = 1 THEN RAISE 'no'; END IF; RETURN OLD; END $$",
		"CREATE TRIGGER refuse BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION refuse()")
	user, err := s.DeleteRows(ctx, 0)
	if user != 1 || err == nil {
		t.Errorf("rows of user %d, %v", user, err)
	}
	if user, err = s.DeleteRows(ctx, user); user != 2 || err != nil {
		t.Errorf("rows of user %d, %v", user, err)
	}
	if user, err = s.DeleteRows(ctx, user); user != 1 || err == nil {
		t.Errorf("rows of user %d, %v", user, err)
	}
}

// TestPasswordTimeRises: a new password, and a closed, opened or deleted account, end the sessions of before even if
// the clock of Postgres was set back meanwhile.
func TestPasswordTimeRises(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, pool := open(t)
	exec(t, pool, named("1", "ansel"), "INSERT INTO accounts (user_id, password, password_at) "+
		"VALUES (1, '"+passwordHash+"', now() + interval '1 hour')")
	var revoked time.Time
	last := func() time.Time {
		t.Helper()
		n := 0
		if err := s.Revoke(ctx, func(_ context.Context, r store.Revocation) error {
			n, revoked = n+1, r.PasswordAt
			return nil
		}); err != nil || n != 1 {
			t.Fatalf("%d revocations, %v", n, err)
		}
		return revoked
	}
	other := strings.Replace(passwordHash, "aGFz", "AAAA", 1)
	for _, step := range []struct{ name, sql string }{
		{"a new password", "UPDATE accounts SET password = '" + other + "', password_at = clock_timestamp()"},
		{"the account is closed", "UPDATE accounts SET disabled_at = now()"},
		{"the account is opened", "UPDATE accounts SET disabled_at = NULL"},
	} {
		before := one[time.Time](t, pool, "SELECT password_at FROM accounts")
		exec(t, pool, step.sql)
		after := one[time.Time](t, pool, "SELECT password_at FROM accounts")
		if at := last(); !after.After(before) || !at.Equal(after) {
			t.Errorf("%s: the password is of %s, then of %s, and what was before %s is revoked", step.name, before,
				after, at)
		}
	}
	before := one[time.Time](t, pool, "SELECT password_at FROM accounts")
	exec(t, pool, "DELETE FROM accounts")
	if at := last(); !at.After(before) {
		t.Errorf("deleted: the password is of %s, what was before %s is revoked", before, at)
	}
}
