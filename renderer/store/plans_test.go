package store_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/ops/testenv"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/page"
)

// passwordHash is one that no password has.
const passwordHash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA"

// No statement of this package may scan all photos, and no listing may fetch what it does not show in order to sort it.
// Every exported method is called, a new one too or this test fails, and every statement that reaches Postgres is
// explained.
func TestPlans(t *testing.T) {
	t.Parallel()
	url := testenv.DatabaseURL(t)
	pool := testenv.Pool(t, url)
	fillDataset(t, pool, 4000, 40_000)
	buildSearch(t, store.New(openPool(t, url)))
	exec(t, pool,
		"INSERT INTO tombstones SELECT 'photo.' || g, g FROM generate_series(100001, 120000) g",
		"INSERT INTO outbox (scope, version, gone) SELECT 'user.u' || g, g, false FROM generate_series(1, 5000) g",
		"INSERT INTO relayed (message, after, scopes, versions, gone) SELECT g, g - 1, '{photo.1}', '{1}', '{f}' "+
			"FROM generate_series(1, 5000) g",
		`INSERT INTO action_keys (key, request, scopes, versions, gone)
			SELECT g, decode(repeat('00', 32), 'hex'), '{photo.1}', '{1}', '{f}' FROM generate_series(1, 20000) g`,
		"INSERT INTO accounts (user_id, password, password_at) SELECT g, '"+passwordHash+
			"', '2026-01-01 00:00Z' FROM generate_series(1, 4000) g",
		"INSERT INTO recovery_codes (user_id, code) SELECT g, sha256(g::text::bytea) FROM generate_series(1, 4000) g",
		`INSERT INTO deletions (user_id, account, version, receipt, name, rows_gone_at, edges_know_at)
			SELECT g, g > 4000, 1, sha256(('r' || g)::bytea), 'gone' || g, now(), now()
			FROM (SELECT generate_series(10001, 14000) UNION ALL SELECT generate_series(1, 4000)) AS d (g)`,
		"UPDATE photos SET private = true, private_before = private, binned_at = now() WHERE user_id = 2",
		"INSERT INTO kept_names (name) SELECT 'gone' || g FROM generate_series(1, 4000) g",
		"INSERT INTO deletion_edges (deletion_id, learned_at, edge) SELECT id, now(), 'a' FROM deletions",
		"INSERT INTO unused_images (user_id, image_id) SELECT g, 'x' FROM generate_series(1, 4000) g",
		"INSERT INTO revocations (user_id, password_at) SELECT g, now() FROM generate_series(1, 4000) g",
		`INSERT INTO passkeys (user_id, credential, host, label, sign_count, record)
			SELECT g, sha256(g::text::bytea), 'photos.example', 'key', 0, '{}' FROM generate_series(1, 4000) g`,
		`INSERT INTO used_challenges
			SELECT sha256(g::text::bytea), now() - interval '2 hours' FROM generate_series(1, 5000) g`,
		`INSERT INTO mail_links
			SELECT sha256(a.user_id::text::bytea), a.user_id,
				CASE WHEN a.user_id IN (8, 9) THEN 'email' ELSE 'password' END, 'u' || a.user_id || '@photos.example',
				a.user_id, a.password_at, now() + interval '1 hour'
			FROM accounts a`,
		`INSERT INTO uploads (user_id, id, name, bytes, private, image_id, ended_at, photo_id)
			SELECT a.user_id, rpad(translate(a.user_id || 'x' || n, '0189', 'abcd'), 26, 'z'), 'a.jpg', 5, false,
				CASE n WHEN 2 THEN rpad(translate('u' || a.user_id, '0189', 'abcd'), 26, 'z') END, CASE n WHEN 3 THEN now() END, CASE n WHEN 3 THEN a.user_id END
			FROM accounts a, generate_series(1, 3) n`,
		"INSERT INTO quota_use SELECT user_id, 1, 5 FROM accounts WHERE user_id > 1",
		`INSERT INTO unmade_pictures (image_id, due_at)
			SELECT rpad(translate('x' || g, '0189', 'abcd'), 26, 'z'), now() FROM generate_series(1, 4000) g`,
		`INSERT INTO takeouts (user_id, id, title)
			SELECT a.user_id, rpad(translate(a.user_id || 'x', '0189', 'abcd'), 26, 'z'), '' FROM accounts a`,
		"INSERT INTO takeout_parts (takeout_id, kind, nr, data) SELECT id, 'plan', 0, '' FROM takeouts",
		`INSERT INTO shares (user_id, photo_id, album_id, name, nonce, hash)
			SELECT user_id, id, NULL::bigint, '', decode(repeat('00', 16), 'hex'), sha256(id::text::bytea) FROM photos
			UNION ALL
			SELECT user_id, NULL, id, '', decode(repeat('00', 16), 'hex'), sha256(('album' || id)::bytea) FROM albums`,
		"UPDATE shares SET adds = true WHERE album_id IS NOT NULL",
		`INSERT INTO ended_shares SELECT -id, user_id, photo_id, album_id, now(),
			to_jsonb(s) || jsonb_build_object('id', -id, 'hash', sha256(('ended' || id)::bytea)) FROM shares s`,
		"INSERT INTO guest_photos SELECT id, user_id, id, '' FROM photos",
		"VACUUM ANALYZE")

	traced := &statements{}
	untraced := openPool(t, url)
	config := untraced.Config()
	config.ConnConfig.Tracer = multitracer.New(config.ConnConfig.Tracer, traced)
	tracedPool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer tracedPool.Close()
	s := store.New(tracedPool)

	calls := everyMethod(t.Context(), s, one[int64](t, pool,
		"SELECT max(id) FROM photos WHERE user_id = 1 AND NOT private"))
	for i := range reflect.TypeOf(s).NumMethod() {
		method := reflect.TypeOf(s).Method(i).Name
		if method == "BuildSearch" || method == "Probe" || method == "OnRetry" {
			continue // the work of one is to read everything, the others read nothing
		}
		if len(calls[method]) == 0 {
			t.Errorf("no call of Store.%s is explained: add it to everyMethod", method)
		}
		for _, call := range calls[method] {
			traced.forget()
			if err := call(); err != nil {
				t.Fatalf("%s: %v", method, err)
			}
			for _, sql := range traced.seen {
				checkPlan(t, untraced, method, sql)
			}
			if len(traced.seen) == 0 {
				t.Errorf("%s ran no statement", method)
			}
		}
	}
	fresh, open := strings.Repeat("a", 26), "b3xb"+strings.Repeat("z", 22)
	for _, call := range []string{
		// and asked for again
		"edit_photo('scans', $1, 11, 'Title', NULL)", "edit_photo('scans', $1, 11, 'Title', NULL)",
		"delete_photo('scans', $1, 12)",
		"(SELECT 'done' AS outcome FROM count_tags(10000), (SELECT $1::bytea) AS key) AS counted",
		"set_photo_private('scans', $1, 13, true)", "set_photo_private('scans', $1, 13, false)",
		"sign_up('scans', $1, 'another', '" + passwordHash + "', ARRAY[$1::bytea])",
		"set_password('scans', $1, 7, '" + passwordHash + "', '" + passwordHash + "')",
		"recover_account('scans', sha256($1), 7, sha256('7'), '" + passwordHash + "')",
		"delete_account('scans', $1, 7, '" + passwordHash + "', $1, 1, 1)",
		"set_codes('scans', $1, 11, '" + passwordHash + "', ARRAY[$1::bytea])",
		"(SELECT 'done' AS outcome FROM delete_rows(8, 200), (SELECT $1::bytea) AS key) AS deleted",
		"(SELECT 'done' AS outcome FROM holdings(8, 1000), (SELECT $1::bytea) AS key) AS counted",
		"edit_profile('scans', $1, 7, 'Display', NULL, NULL, NULL)",
		"edit_profile('scans', $1, 7, 'Display', NULL, 'by', true)",
		"add_passkey('scans', sha256($1), 7, (SELECT password_at FROM accounts WHERE user_id = 7), sha256('new'), " +
			"'credential', 'photos.example', 'key', 0, '{}', 20)",
		"use_passkey('scans', sha256($1), 7, sha256('new'), 1, '{}')", "rename_passkey('scans', sha256($1), 7, 7, 'k')",
		"remove_passkey('scans', sha256($1), 7, 7)",
		"reset_password('scans', sha256($1), sha256('7'), '" + passwordHash + "')",
		"confirm_email('scans', sha256($1), 9, sha256('9'))", "remove_email('scans', sha256($1), 7)",
		"(SELECT 'done' AS outcome FROM create_upload(1, '" + fresh + "', 'a', 0, false, 5, 0, 0), " +
			"(SELECT $1::bytea) AS key) AS created",
		"(SELECT 'done' AS outcome FROM reserve_upload(13, '" + open + "', '" + imageID(10) + "', 5), " +
			"(SELECT $1::bytea) AS key) AS reserved",
		"(SELECT 'done' AS outcome FROM finish_upload(13, '" + open + "', '" + imageID(10) + "', 5, 4, 3, 0, '', " +
			"NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, '', ''), (SELECT $1::bytea) AS key) AS finished",
		"(SELECT 'done' AS outcome FROM end_upload(13, '" + open + "', 'no'), (SELECT $1::bytea) AS key) AS ended",
		"(SELECT 'done' AS outcome FROM take_picture(NULL), (SELECT $1::bytea) AS key) AS taken",
		"(SELECT 'done' AS outcome FROM picture_made('" + imageID(9) + "', 5, 3, 8), " +
			"(SELECT $1::bytea) AS key) AS made",
		"(SELECT DISTINCT 'done' AS outcome FROM (SELECT $1::bytea) AS key LEFT JOIN picture_refused('" + imageID(9) +
			"', 'no') ON true) AS refused",
		"edit_own_photo('scans', $1, 1, (SELECT max(id) FROM photos WHERE user_id = 1), 'Title', NULL, " +
			"'{x,lake}', true, '2026-02-28', true)",
		"change_own_rights('scans', $1, 1, ARRAY(SELECT id FROM photos WHERE user_id = 1 AND NOT private " +
			"ORDER BY id DESC LIMIT 10), 'by', true)",
		"begin_takeout('scans', $1, 7, '" + fresh + "', NULL, 2)",
		unlistScan("true"), unlistScan("false"),
		ownScan("tag"), ownScan("untag"), ownScan("private"), ownScan("public"), binScan("bin"),
		"remove_own_photos('scans', $1, 2, ARRAY(SELECT id FROM photos WHERE user_id = 2 AND binned_at IS NOT NULL " +
			"LIMIT 10), NULL, 10, $1)",
		"remove_own_photos('scans', $1, 2, NULL, now(), 10, $1)",
		"unshow_own_photos('scans', $1, 1, " + tenOf1 + ")",
		"make_share('scans', $1, 1, (SELECT max(id) FROM photos WHERE user_id = 1), NULL, '', NULL, 7, " +
			"substr(sha256($1), 1, 16), sha256($1), 1000000)",
		"make_share('scans', $1, 1, NULL, (SELECT max(id) FROM albums WHERE user_id = 1), '', NULL, NULL, " +
			"substr(sha256($1), 1, 16), sha256($1), 1000000)",
		"end_share('scans', $1, 1, (SELECT max(id) FROM shares WHERE user_id = 1))",
		"restore_share('scans', $1, 1, (SELECT max(id) FROM ended_shares WHERE user_id = 1), '1 hour', 1000000)",
		"set_share_adds('scans', $1, (SELECT user_id FROM albums WHERE id = 1), " +
			"(SELECT min(id) FROM shares WHERE album_id = 1), false)",
		"(SELECT 'done' AS outcome FROM empty_bins('1 hour', 200), (SELECT $1::bytea) AS key) AS emptied",
		"make_own_album('scans', $1, 1, 'Newer', '', (SELECT title FROM albums WHERE id = 1), 1000)",
		"edit_own_album('scans', $1, 1, 1, 'Newer', NULL, (SELECT title FROM albums WHERE id = 2))",
		"delete_own_album('scans', $1, 1, 1)",
		"show_own_album('scans', $1, 1, 1, true, true, substr(sha256($1), 1, 16), sha256($1))",
		"show_own_album('scans', $1, 1, 1, true, false, NULL, NULL)",
		"cover_own_album('scans', $1, 1, 1, (SELECT photo_id FROM album_photos WHERE album_id = 1 " +
			"ORDER BY position LIMIT 1))",
		"add_to_own_album('scans', $1, 1, 'Newer', " + tenOf1 + ", 1000)",
		"add_to_own_album('scans', $1, 1, (SELECT title FROM albums WHERE id = 1), " + tenOf1 + ", 1000)",
		"take_from_own_album('scans', $1, 1, NULL, (SELECT title FROM albums WHERE id = 1), " + tenOf1 + ")",
		albumScan("first"), albumScan("last"), albumScan("earlier"), albumScan("later"), albumScan("place"),
		"(SELECT 'done' AS outcome FROM make_link(sha256($1), 10, " +
			"(SELECT password_at FROM accounts WHERE user_id = 10), 'email', 'a@b.example', 'scans', 3)) AS made",
	} {
		checkScans(t, untraced, call)
	}
}

// unlistScan makes ten photos of user 1 private, and unlisted or not.
func unlistScan(unlist string) string {
	return "(SELECT c.outcome FROM (SELECT " + tenOf1 + " AS ids) AS i, " +
		"LATERAL change_own_photos('scans', $1, 1, i.ids, 'private', '', 200) AS c, LATERAL set_unlisted(left('scans', length(c.outcome) + 1), 1, i.ids, " + unlist +
		", array_fill(substr(sha256($1), 1, 16), ARRAY[10]), ARRAY(SELECT sha256(('u' || g)::bytea) " +
		"FROM generate_series(1, 10) g))) AS unlisted"
}

// tenOf1 is ten photos of user 1.
const tenOf1 = "ARRAY(SELECT id FROM photos WHERE user_id = 1 AND NOT private ORDER BY id DESC LIMIT 10)"

// albumScan is a move of two photos in album 1.
func albumScan(how string) string {
	return "move_in_own_album('scans', $1, 1, 1, ARRAY(SELECT photo_id FROM album_photos WHERE album_id = 1 " +
		"ORDER BY position OFFSET 3 LIMIT 2), '" + how + "', 7)"
}

// ownScan is a change of ten photos of user 1.
func ownScan(what string) string {
	return "change_own_photos('scans', $1, 1, " + tenOf1 + ", '" + what + "', 'x', 200)"
}

// binScan puts ten photos of user 1 into the bin, or does something else to them.
func binScan(what string) string {
	return "change_bin('scans', $1, 1, ARRAY(SELECT id FROM photos WHERE user_id = 1 AND NOT private " +
		"ORDER BY id DESC LIMIT 10), '" + what + "', now(), 200)"
}

// checkScans calls a function that does an action, and asks which tables its statements, and those of the triggers,
// have scanned.
func checkScans(t *testing.T, pool *pgxpool.Pool, call string) {
	t.Helper()
	ctx := t.Context()
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // it has served
	if outcome := one[string](t, tx, "SELECT outcome FROM "+call, make([]byte, 32)); outcome != "done" {
		t.Errorf("%s: %s", call, outcome)
	}
	if scanned := one[string](t, tx, `SELECT coalesce(string_agg(relname, ', '), '') FROM pg_stat_xact_user_tables
		WHERE seq_scan > 0 AND relname NOT IN ('epoch', 'heartbeat', 'search_state', 'site')`); scanned != "" {
		t.Errorf("%s scans all of %s", call, scanned)
	}
}

func everyMethod(ctx context.Context, s *store.Store, newestOf1 int64) map[string][]func() error {
	search := func(q string) func() error {
		return func() error { _, err := searchFor(ctx, s, q, 0); return err }
	}
	title, licence := "Title", page.Licence("by")
	edited := func() error { _, err := s.EditPhoto(ctx, "edit", 1, store.Edit{Title: &title}); return err }
	passwordAt := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	code, display := sha256.Sum256([]byte("1")), "Display"
	passwordToken, emailToken := sha256.Sum256([]byte("12")), sha256.Sum256([]byte("8"))
	passkey := store.Passkey{User: 1, Credential: []byte("new"), Host: "photos.example", Label: "key",
		Record: []byte("{}")}
	upload := store.UploadID{User: 1, ID: "aaaaaaaaaaaaaaaaaaaaaaaaaa"}
	open := store.UploadID{User: 12, ID: "b2xb" + strings.Repeat("z", 22)}
	quota := store.Quota{Bytes: 1 << 40, Photos: 1 << 40}
	asGuest := func(steps int) func() error { // those of an upload by a link
		hash, image := shareHash("album1"), imageID(90+steps)
		return func() error {
			link, err := s.Share(ctx, hash)
			if err != nil {
				return err
			}
			u := store.UploadID{User: link.User, ID: strings.Repeat("bcd"[steps-1:steps], 26)}
			_, err = s.CreateGuestUpload(ctx, hash, "", u, store.UploadFile{Bytes: 5}, 50, quota,
				store.GuestLimits{InAlbum: 10_000, Files: 1000, Bytes: 1 << 40})
			if err == nil && steps > 1 {
				_, err = s.ReserveGuestUpload(ctx, hash, u, image, 5)
			}
			if err == nil && steps > 2 {
				photo := store.UploadedPhoto{Image: image, Bytes: 5, Width: 4, Height: 3}
				_, err = s.FinishGuestUpload(ctx, hash, u, photo, quota, "", "")
			}
			return err
		}
	}
	listOwn := func(search store.OwnSearch, newer bool) func() error {
		return func() error { _, err := s.OwnPhotos(ctx, 1, search, store.OwnPosition{}, newer); return err }
	}
	published := func(store.Batch) (bool, error) { return false, nil }
	return map[string][]func() error{
		"Users": {func() error {
			_, err := s.Users(ctx, []store.UserQuery{{Name: "u1"}, {Name: "u2", Before: 900}, {Name: "none"}})
			return err
		}},
		"Feed":   {func() error { _, err := s.Feed(ctx, "u1"); return err }},
		"Photos": {func() error { _, err := s.Photos(ctx, []int64{1, 7, 1 << 40}); return err }},
		"PictureFiles": {func() error {
			_, err := s.PictureFiles(ctx, []store.PictureQuery{{Photo: 1}, {Photo: 7}, {Photo: 1 << 40}})
			return err
		}},
		"Home":  {func() error { _, err := s.Home(ctx, 0, 0); return err }},
		"Tag":   {func() error { _, err := s.Tag(ctx, "x", 0, 0); return err }},
		"Album": {func() error { _, err := s.Album(ctx, 1, 0, 0); return err }},
		"Search": {search("sunset"), search("xylograp"), search("sunst"), search("sunset year:2015"),
			search("tag:x or by:u1")},
		"RelatedTags":      {func() error { _, err := s.RelatedTags(ctx, word(0)+" 0"); return err }},
		"SearchWaits":      {func() error { _, _, err := s.SearchWaits(ctx); return err }},
		"IndexOnce":        {func() error { _, err := s.IndexOnce(ctx, store.IndexMost); return err }},
		"PostponeIndexing": {func() error { _, _, err := s.PostponeIndexing(ctx); return err }},
		"Explore":          {func() error { _, err := s.Explore(ctx); return err }},
		"ExploreDay":       {func() error { _, err := s.ExploreDay(ctx, time.Unix(1.5e9, 0)); return err }},
		"Tags":             {func() error { _, err := s.Tags(ctx); return err }},
		"CountTags":        {func() error { _, err := s.CountTags(ctx); return err }},
		"Albums":           {func() error { _, err := s.Albums(ctx, "u1", 0, 0); return err }},
		"HomeFeed":         {func() error { _, err := s.HomeFeed(ctx); return err }},
		"TagFeed":          {func() error { _, err := s.TagFeed(ctx, "x"); return err }},
		"AlbumFeed":        {func() error { _, err := s.AlbumFeed(ctx, 1); return err }},
		"SitemapIndex":     {func() error { _, err := s.SitemapIndex(ctx); return err }},
		"SitemapPhotos":    {func() error { _, err := s.SitemapPhotos(ctx, 3); return err }},
		"SitemapUsers":     {func() error { _, err := s.SitemapUsers(ctx, 1); return err }},
		"SitemapAlbums":    {func() error { _, err := s.SitemapAlbums(ctx, 1); return err }},
		"RelayOnce":        {func() error { _, _, err := s.RelayOnce(ctx, "plan.1", true, published); return err }},
		"Waiting":          {func() error { _, err := s.Waiting(ctx, true); return err }},
		"OutboxState":      {func() error { _, err := s.OutboxState(ctx); return err }},
		"ForgetRelayed":    {func() error { return s.ForgetRelayed(ctx) }},
		"EditPhoto":        {edited, edited}, // and asked for again
		"DeletePhoto":      {func() error { _, err := s.DeletePhoto(ctx, "delete", 2); return err }},
		"SetPhotoPrivate": {
			func() error { _, err := s.SetPhotoPrivate(ctx, "hide", 3, true); return err },
			func() error { _, err := s.SetPhotoPrivate(ctx, "show", 3, false); return err },
		},
		"SignUp": {func() error {
			_, err := s.SignUp(ctx, "signup", "newcomer", passwordHash, "", [][]byte{code[:]})
			return err
		}},
		"AccountNamed": {func() error { _, err := s.AccountNamed(ctx, "u1"); return err }},
		"AccountOf":    {func() error { _, err := s.AccountOf(ctx, 1); return err }},
		"SetPassword": {func() error {
			_, err := s.SetPassword(ctx, "password", 1, passwordHash, passwordHash)
			return err
		}},
		"SetCodes": {func() error {
			_, err := s.SetCodes(ctx, "codes", 3, passwordHash, [][]byte{code[:]})
			return err
		}},
		"Recover": {func() error { _, err := s.Recover(ctx, "recover", 1, code[:], passwordHash); return err }},
		"EditProfile": {func() error {
			_, err := s.EditProfile(ctx, "profile", 1, store.Profile{DisplayName: &display})
			return err
		}},
		"ChangeOwnRights": {func() error {
			_, err := s.ChangeOwnRights(ctx, "rights", 1, []int64{newestOf1}, store.RightsEdit{Licence: &licence})
			return err
		}},
		"BeginTakeout": {func() error {
			_, err := s.BeginTakeout(ctx, "takeout", 1, strings.Repeat("q", 26), 0, 2)
			return err
		}},
		"Takeouts": {func() error { _, err := s.Takeouts(ctx, 1); return err }},
		"TakeoutPart": {func() error {
			_, err := s.TakeoutPart(ctx, 1, strings.Repeat("q", 26), store.TakeoutPlan, 0)
			return absent(err)
		}},
		"TakeoutAlbums":   {func() error { _, err := s.TakeoutAlbums(ctx, 1); return err }},
		"TakeTakeout":     {func() error { _, err := s.TakeTakeout(ctx, time.Minute); return err }},
		"PostponeTakeout": {func() error { return s.PostponeTakeout(ctx, strings.Repeat("q", 26), time.Minute, 1) }},
		"GiveTakeoutUp":   {func() error { return s.GiveTakeoutUp(ctx, strings.Repeat("y", 26)) }},
		"ForgetTakeouts":  {func() error { _, err := s.ForgetTakeouts(ctx, time.Hour); return err }},
		"NoteChecksums": {func() error {
			return s.NoteChecksums(ctx, imageID(9), store.Checksums{SHA256: code[:], Extension: ".jpg"})
		}},
		"Unchecked": {func() error { _, _, err := s.Unchecked(ctx, 1, 0); return err }},
		"WriteTakeout": {func() error {
			written := strings.Repeat("p", 26)
			if _, err := s.BeginTakeout(ctx, "takeout-written", 1, written, 0, 5); err != nil {
				return err
			}
			for _, album := range []int64{0, 1} {
				err := s.WriteTakeout(ctx, &store.Takeout{ID: written, User: 1, Album: album},
					func(w *store.TakeoutWriter) error {
						_, owner := w.Owner()
						_, photos := w.Photos(album, 0)
						_, albums := w.Album(0)
						return errors.Join(owner, photos, albums, w.Write(store.TakeoutPlan, 0, []byte("x")))
					})
				if err != nil && album == 0 || err == nil && album != 0 { // the second time it is ready
					return fmt.Errorf("a zip file of album %d: %w", album, err)
				}
			}
			return nil
		}},
		"Original": {
			func() error { _, err := s.Original(ctx, 0, 1); return absent(err) },
			func() error { _, err := s.Original(ctx, 1, newestOf1); return err },
		},
		"Holdings": {func() error { _, err := s.Holdings(ctx, 1); return err }},
		"DeleteAccount": {func() error {
			_, err := s.DeleteAccount(ctx, "delete-account", 2000, passwordHash, code[:], 1, 1)
			return err
		}},
		"DeletionOf": {func() error { _, err := s.DeletionOf(ctx, make([]byte, 32)); return absent(err) }},
		"EdgesLearned": {func() error {
			return s.EdgesLearned(ctx, 400, map[string]time.Time{"edge.a.1": time.Unix(1.5e9, 0)},
				[]string{"edge.b.2"}, true)
		}},
		"NextUnknown": {func() error { _, err := s.NextUnknown(ctx, 32); return err }},
		"DeleteRows":  {func() error { _, err := s.DeleteRows(ctx, 0); return err }},
		"RemoveUnused": {func() error {
			_, err := s.RemoveUnused(ctx, func(context.Context, string) (store.Freed, error) {
				return store.Freed{}, nil
			})
			return err
		}},
		"Revoke": {func() error {
			return s.Revoke(ctx, func(context.Context, store.Revocation) error { return nil })
		}},
		"CreateUpload": {
			func() error {
				for range 2 { // and asked for again
					if _, err := s.CreateUpload(ctx, upload, store.UploadFile{Name: "a.jpg"}, 50, quota); err != nil {
						return err
					}
				}
				return nil
			},
		},
		"UploadOf":      {func() error { _, err := s.UploadOf(ctx, upload); return absent(err) }},
		"ReserveUpload": {func() error { _, err := s.ReserveUpload(ctx, open, imageID(9), 5); return err }},
		"FinishUpload": {func() error {
			_, err := s.FinishUpload(ctx, open, store.UploadedPhoto{Image: imageID(9), Bytes: 5, Width: 4, Height: 3},
				quota, "", "")
			return err
		}},
		"EndUpload":     {func() error { _, err := s.EndUpload(ctx, open, "no"); return err }},
		"EndedUploads":  {func() error { _, err := s.EndedUploads(ctx, []store.UploadID{open, upload}); return err }},
		"ForgetUploads": {func() error { _, err := s.ForgetUploads(ctx, 24*time.Hour); return err }},
		"TakePicture": {
			func() error { _, _, err := s.TakePicture(ctx, ""); return err },
			func() error { _, _, err := s.TakePicture(ctx, imageID(9)); return err },
		},
		"NextFlatImage":    {func() error { _, err := s.NextFlatImage(ctx, imageID(9)); return err }},
		"SetBlur":          {func() error { return s.SetBlur(ctx, store.FlatImage{ID: imageID(9)}, 1<<30) }},
		"PictureMade":      {func() error { return s.PictureMade(ctx, imageID(9), 5, 3, 7) }},
		"PictureGone":      {func() error { return s.PictureGone(ctx, imageID(9), 1) }},
		"PicturePostponed": {func() error { return s.PicturePostponed(ctx, imageID(9), 1) }},
		"PictureGivenUp":   {func() error { return s.PictureGivenUp(ctx, imageID(9), 1) }},
		"TimesTaken":       {func() error { _, err := s.TimesTaken(ctx, imageID(9)); return err }},
		"RefusePicture":    {func() error { _, err := s.RefusePicture(ctx, imageID(9), "no"); return err }},
		"ForgetDeletions":  {func() error { return s.ForgetDeletions(ctx, time.Hour) }},
		"Passkeys":         {func() error { _, err := s.Passkeys(ctx, 1); return err }},
		"PasskeyOf":        {func() error { _, err := s.PasskeyOf(ctx, code[:]); return err }},
		"AddPasskey": {func() error {
			_, err := s.AddPasskey(ctx, "add", passwordAt, code[:], passkey)
			return err
		}},
		"UsePasskey": {func() error {
			used := passkey
			used.ID, used.Count = 4, 1
			_, err := s.UsePasskey(ctx, "use", append(code[:31:31], 0), used)
			return err
		}},
		"RenamePasskey": {func() error { _, err := s.RenamePasskey(ctx, "rename", 3, 3, "key"); return err }},
		"RemovePasskey": {func() error { _, err := s.RemovePasskey(ctx, "remove", 2, 2); return err }},
		"AccountByEmail": {func() error {
			if _, err := s.AccountByEmail(ctx, "u1@photos.example"); !errors.Is(err, store.ErrNotFound) {
				return err
			}
			return nil
		}},
		"EmailOf": {func() error { _, err := s.EmailOf(ctx, 1); return err }},
		"MakeLink": {func() error {
			_, err := s.MakeLink(ctx, store.Link{Token: make([]byte, 32), User: 11, PasswordAt: passwordAt,
				Purpose: store.LinkPassword, Email: "a@b.example", Attempt: "made"})
			return err
		}},
		"LinkOf": {func() error { _, err := s.LinkOf(ctx, passwordToken[:], store.LinkPassword); return err }},
		"ResetPassword": {func() error {
			_, err := s.ResetPassword(ctx, "reset", passwordToken[:], passwordHash)
			return err
		}},
		"ConfirmEmail": {func() error { _, err := s.ConfirmEmail(ctx, "confirm", 8, emailToken[:]); return err }},
		"RemoveEmail":  {func() error { _, err := s.RemoveEmail(ctx, "email", 8); return err }},
		"EditOwnPhoto": {func() error {
			_, err := s.EditOwnPhoto(ctx, "own", 1, newestOf1, store.OwnEdit{Title: &title, Tags: &[]string{"x"},
				Rights: store.RightsEdit{Licence: &licence}})
			return err
		}},
		"ChangeOwnPhotos": {func() error {
			_, err := s.ChangeOwnPhotos(ctx, "owns", 1, []int64{newestOf1}, store.OwnTag, "x")
			return err
		}},
		"MakeShare": {func() error {
			_, err := s.MakeShare(ctx, "share", 1, store.NewShare{Photo: newestOf1}, secret("x"), 1<<20)
			return err
		}},
		"Unlisted": {func() error { _, err := s.Unlisted(ctx, 1, []int64{1, newestOf1}); return err }},
		"UnlistOwnPhotos": {func() error {
			_, err := s.UnlistOwnPhotos(ctx, "unlist", 1, []int64{newestOf1}, []store.ShareSecret{secret("y")})
			return err
		}},
		"LetAdd": {func() error { _, err := s.LetAdd(ctx, "let", 1, 1<<40, true); return absent(err) }},
		"GuestUpload": {func() error {
			_, err := s.GuestUpload(ctx, shareHash("album1"), upload)
			return absent(err)
		}},
		"CreateGuestUpload":  {asGuest(1), asGuest(1)}, // and asked for again
		"ReserveGuestUpload": {asGuest(2)},
		"FinishGuestUpload":  {asGuest(3)},
		"Guests":             {func() error { _, err := s.Guests(ctx, 1, []int64{1, newestOf1}); return err }},
		"EndShare":           {func() error { _, err := s.EndShare(ctx, "unshare", 1, 1<<40); return absent(err) }},
		"RestoreShare": {func() error {
			_, err := s.RestoreShare(ctx, "reshare", 1, 1<<40, time.Hour, 10)
			return absent(err)
		}},
		"EndedShare":   {func() error { _, err := s.EndedShare(ctx, 1, 1<<40, time.Hour); return err }},
		"ForgetShares": {func() error { return s.ForgetShares(ctx, time.Hour) }},
		"OwnShares": {
			func() error { _, err := s.OwnShares(ctx, 1, 0, 0, 0); return err },
			func() error { _, err := s.OwnShares(ctx, 1, newestOf1, 0, 0); return err },
			func() error { _, err := s.OwnShares(ctx, 1, 0, 1, 0); return err },
		},
		"OwnAlbumTitle": {func() error { _, err := s.OwnAlbumTitle(ctx, 1, 1); return absent(err) }},
		"Share":         {func() error { _, err := s.Share(ctx, shareHash("album1")); return err }},
		"ShareSeen":     {func() error { return s.ShareSeen(ctx, 1) }},
		"SharedPhoto":   {func() error { _, err := s.SharedPhoto(ctx, shareHash("album1"), 1); return absent(err) }},
		"SharedPicture": {func() error { _, err := s.SharedPicture(ctx, shareHash("album1"), 1); return absent(err) }},
		"SharedAlbum": {
			func() error { _, err := s.SharedAlbum(ctx, shareHash("album1"), 1, 0); return err },
			func() error { _, err := s.SharedAlbum(ctx, shareHash("album1"), 0, 20); return err },
		},
		"EmptyBins":     {func() error { _, err := s.EmptyBins(ctx, time.Hour); return err }},
		"OwnPhoto":      {func() error { _, err := s.OwnPhoto(ctx, 1, 1); return absent(err) }},
		"AlbumRefuses":  {func() error { _, err := s.AlbumRefuses(ctx, 1, "None"); return err }},
		"OwnVisibility": {func() error { _, err := s.OwnVisibility(ctx, 1, 1); return absent(err) }},
		"UnshowOwnPhotos": {func() error {
			_, err := s.UnshowOwnPhotos(ctx, "unshow", 1, []int64{newestOf1})
			return absent(err)
		}},
		"OwnPicture": {func() error { _, err := s.OwnPicture(ctx, 1, 1); return absent(err) }},
		"OwnPhotos": {listOwn(store.OwnSearch{}, false), listOwn(store.OwnSearch{Untagged: true}, true),
			listOwn(store.OwnSearch{Guests: true, Link: 1}, false)},
		"OwnMonths":  {func() error { _, err := s.OwnMonths(ctx, 1); return err }},
		"OwnChoices": {func() error { _, err := s.OwnChoices(ctx, 1, 1); return err }},
		"OwnBin":     {func() error { _, err := s.OwnBin(ctx, 1, store.OwnPosition{}); return err }},
		"ChangeBin": {func() error {
			_, err := s.ChangeBin(ctx, "bin", 1, []int64{newestOf1}, store.OwnRestore)
			return absent(err) // it is not there
		}},
		"RemovePhotos": {func() error {
			_, _, err := s.RemovePhotos(ctx, "empty", 1, nil, store.OwnEmpty, time.Now(), make([]byte, 32))
			return err
		}},
		"PhotoDeletion":  {func() error { _, err := s.PhotoDeletion(ctx, 7, 7); return absent(err) }},
		"PhotoDeletions": {func() error { _, err := s.PhotoDeletions(ctx, 7); return err }},
		"OwnTags":        {func() error { _, err := s.OwnTags(ctx, 1); return err }},
		"OwnAlbums":      {func() error { _, _, err := s.OwnAlbums(ctx, 1, 0); return err }},
		"OwnAlbumNames":  {func() error { _, err := s.OwnAlbumNames(ctx, 1, true); return err }},
		"OwnAlbum":       {func() error { _, err := s.OwnAlbum(ctx, 1, 1, 7, 0); return err }},
		"ShowOwnAlbum": {func() error {
			_, err := s.ShowOwnAlbum(ctx, "show-album", 1, 1, true, true, secret("z"))
			return err
		}},
		"MakePrivateAlbum": {func() error {
			_, err := s.MakePrivateAlbum(ctx, "ma-private", 1, "Made privately", "", "")
			return err
		}},
		"MakeOwnAlbum": {func() error { _, err := s.MakeOwnAlbum(ctx, "ma", 1, "Made", "", ""); return err }},
		"EditOwnAlbum": {func() error {
			_, err := s.EditOwnAlbum(ctx, "ea", 1, 1, store.AlbumEdit{Title: &title})
			return err
		}},
		"CoverOwnAlbum": {func() error { _, err := s.CoverOwnAlbum(ctx, "ca", 1, 1, 0); return err }},
		"AddToOwnAlbum": {func() error {
			_, err := s.AddToOwnAlbum(ctx, "aa", 1, "New", []int64{newestOf1})
			return err
		}},
		"MoveInOwnAlbum": {func() error {
			_, err := s.MoveInOwnAlbum(ctx, "mv", 1, 1, []int64{newestOf1}, store.MoveFirst, 0)
			return absent(err)
		}},
		"TakeFromOwnAlbum": {func() error {
			_, err := s.TakeFromOwnAlbum(ctx, "ta", 1, 1, "", []int64{newestOf1})
			return err
		}},
		"DeleteOwnAlbum": {func() error { _, err := s.DeleteOwnAlbum(ctx, "da", 1, 2); return err }},
		"SiteKey":        {func() error { _, err := s.SiteKey(ctx); return err }},
		"ForgetKeys":     {func() error { _, err := s.ForgetKeys(ctx, time.Hour); return err }},
		"Now":            {func() error { _, err := s.Now(ctx); return err }},
		"ReadAt":         {func() error { _, err := s.ReadAt(ctx); return err }},
		"Beat":           {func() error { return s.Beat(ctx, time.Second) }},
		"Durability":     {func() error { _, err := s.Durability(ctx); return err }},
		"SiteID":         {func() error { _, err := s.SiteID(ctx); return err }},
	}
}

// absent makes the error about a row that does not exist none.
func absent(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	return err
}

// statements is a tracer that collects what is run.
type statements struct {
	mu   sync.Mutex
	seen []string
}

func (s *statements) add(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if word := strings.ToUpper(strings.Fields(sql)[0]); word != "BEGIN" && word != "COMMIT" && word != "ROLLBACK" &&
		word != "--" && word != ";" {
		s.seen = append(s.seen, sql)
	}
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.add(data.SQL)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, data pgx.TraceBatchQueryData) {
	s.add(data.SQL)
}

func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *statements) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

// planNode is the part of EXPLAIN (FORMAT JSON) that is looked at.
type planNode struct {
	Type     string     `json:"Node Type"`
	Relation string     `json:"Relation Name"`
	Plans    []planNode `json:"Plans"`
}

// checkPlan explains the plan that a pool of OpenPool uses for any arguments, and so explains it without.
func checkPlan(t *testing.T, pool *pgxpool.Pool, method, sql string) {
	t.Helper()
	ctx := t.Context()
	conn, err := pool.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	prepared, err := conn.Conn().Prepare(ctx, "explained", sql)
	if err != nil {
		t.Fatal(err)
	}
	arguments := ""
	if n := len(prepared.ParamOIDs); n > 0 {
		arguments = "(" + strings.Repeat("NULL, ", n-1) + "NULL)"
	}
	var plans []struct{ Plan planNode }
	if err := conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) EXECUTE explained "+arguments,
		pgx.QueryExecModeSimpleProtocol).Scan(&plans); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if err := conn.Conn().Deallocate(ctx, "explained"); err != nil {
		t.Fatal(err)
	}
	// These sort at most what their stages let through: 420 photos and 200 owners for Explore, the tags of 400 photos
	// for OwnTags, the cameras and lenses of 1,000 for OwnChoices.
	sortsAllowed := slices.Contains([]string{"Search", "RelatedTags", "IndexOnce", "Explore", "ExploreDay", "OwnTags",
		"OwnChoices"}, method)
	var walk func(planNode, int)
	walk = func(n planNode, depth int) {
		switch {
		case n.Type == "Seq Scan" && !slices.Contains([]string{"epoch", "heartbeat", "outbox", "search_state",
			"search_queue", "site", "relay_last", "relayed", "unstored"}, n.Relation):
			t.Errorf("%s scans all of %s:\n%s", method, n.Relation, outline(plans[0].Plan, 0))
		case n.Type == "Sort" && !sortsAllowed:
			t.Errorf("%s sorts:\n%s", method, outline(plans[0].Plan, 0))
		}
		for _, child := range n.Plans {
			walk(child, depth+1)
		}
	}
	walk(plans[0].Plan, 0)
}

func outline(n planNode, depth int) string {
	text := fmt.Sprintln(strings.Repeat("  ", depth), n.Type, n.Relation)
	for _, child := range n.Plans {
		text += outline(child, depth+1)
	}
	return text
}
