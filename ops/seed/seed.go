// Package seed fills an empty site with invented people: users, photos, albums and tags as on real sites, with pictures
// painted by package landscape.
//
// **Input**: a seed number, and the numbers of users and photos. **Output**: rows in Postgres, and originals with their
// derivatives in the picture store. **Must not touch**: the bus, memcached, HTTP.
//
// The same numbers give the same rows each time, except for what the database generates (versions). All rows are copied
// in one transaction: a seeding that is interrupted leaves an empty database, and the next one starts over. Originals
// are painted afterwards. A picture's id says how it is painted, so the next start continues an interrupted painting.
//
// The data is also meant to be difficult for the site. Most users have a few photos, and a handful have thousands.
// Titles, tags and descriptions are missing, very long, in nine other scripts, or hostile. Three users always exist,
// with accounts: "ansel" with a full page, "mallory" whose texts are all attacks, and "quiet" who has posted nothing.
//
// Files:
//
//	seed.go      Config, Run, Fill: the order of the work, in one transaction
//	prepare.go   what is decided before the first row
//	space.go     checks the free space on the disk
//	plan.go      who posts how many photos, and when
//	maker.go     rows of photos, tags and pictures; users.go: of users; albums.go: of albums
//	text.go      titles and descriptions; tags.go: tags; words.go: the word lists
//	style.go     how a user photographs and writes; camera.go: cameras and exposures
//	accounts.go  accounts of the users that always exist
//	gallery.go   chooses the picture of a photo by what it shows; first.go: those of the first pages
//	painting.go  paints originals and drafts
//	rows.go      encodes rows for COPY; copy.go sends them
//	dice.go      random draws that depend only on the seed and an id
package seed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"flickrkillr/renderer/pictures"
	"flickrkillr/renderer/store"
	"flickrkillr/schema/migrations"
)

// Config is the input of a seeding. Pool and Pictures are required.
type Config struct {
	Pool     *pgxpool.Pool  // A migrated, empty database.
	Pictures pictures.Store // Where pictures go.
	Users    int            // Default 100,000.
	Photos   int            // Default 1,000,000.
	Seed     uint64         // Default 1.
	// Originals, at most 65,535, is how many pictures are painted, Long how many pixels their long side has, and
	// LongFirst that of the pictures on the front page and on the pages of the first users. The defaults depend on
	// Photos: 12 of 480 px below 5,000, 60 of 1,280 below 50,000, and above that 180 of 1,600, those shown first of
	// 2,560. LongFirst defaults to Long if Long is given.
	Originals int
	Long      int
	LongFirst int
	// Prepared is what [Prepare] returned for the same numbers, if that was called before. nil: Fill does it.
	Prepared *Prepared
	// Disk is a directory on the disk of the database and the pictures; its free space is checked first. "": no check.
	Disk string
	// Progress, if set, is called often, never concurrently.
	Progress func(Progress)
}

// Progress is the state of a seeding. Stages follow one another in the order of the constants.
type Progress struct {
	Stage Stage
	Done  int64 // In pictures, rows, or whatever the stage counts.
	Total int64 // An estimate while rows are being made.
}

// Stage is a part of the work.
type Stage string

// The stages of a seeding.
const (
	Copying   Stage = "copying rows"
	Indexing  Stage = "building indexes"        // Counts statements.
	Drafting  Stage = "painting small pictures" // Beside the one before; reported if it takes longer.
	Searching Stage = "building the search index"
	Painting  Stage = "painting large pictures"
)

// ErrNotEmpty is returned if the database has users: seeding never adds to people's own data.
var ErrNotEmpty = errors.New("seed: the database already has users; only an empty one can be seeded")

// ErrBusy is returned if another process is seeding the same database.
var ErrBusy = errors.New("seed: another process is seeding this database")

// seedingLock is the key of the advisory lock that excludes a second seeding: "seed" in ASCII.
const seedingLock = 0x73656564

func (c Config) withDefaults() Config {
	if c.Users <= 0 {
		c.Users = 100_000
	}
	if c.Photos <= 0 {
		c.Photos = 1_000_000
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	originals, long, first := 180, 1600, 2560
	switch {
	case c.Photos < 5_000:
		originals, long, first = 12, 480, 480
	case c.Photos < 50_000:
		originals, long, first = 60, 1280, 1280
	}
	if c.Originals <= 0 {
		c.Originals = originals
	}
	if c.Long > 0 {
		first = c.Long
	} else {
		c.Long = long
	}
	if c.LongFirst <= 0 {
		c.LongFirst = first
	}
	c.Originals = min(c.Originals, maxOriginals)
	return c
}

// Empty reports whether the database has no users, and so may be seeded.
func Empty(ctx context.Context, pool *pgxpool.Pool) (bool, error) {
	var has bool
	if err := pool.QueryRow(ctx, "SELECT EXISTS (SELECT FROM users)").Scan(&has); err != nil {
		return false, fmt.Errorf("seed: look for users: %w", err)
	}
	return !has, nil
}

// Demonstration reports whether the database holds what Run made, even if it has changed since, and not people's own
// photos. The signs are its first user, and pictures that many photos share, as uploads never do.
func Demonstration(ctx context.Context, pool *pgxpool.Pool) (is bool, err error) {
	err = pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM users WHERE id = 1 AND name = 'ansel')
		AND (SELECT count(*) FROM images) * 2 < (SELECT count(*) FROM photos)`).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("check for demonstration data: %w", err)
	}
	return is, nil
}

// Run fills the database as [Fill] does, checks the references, builds the search index, and paints all originals. If
// one of these fails, the rows are complete: [Finish] does the rest.
func Run(ctx context.Context, c Config) error {
	if err := c.withDefaults().fill(ctx, false); err != nil {
		return err
	}
	_, err := Finish(ctx, c)
	return err
}

// Finish does what a [Run] that was cut short, or a [Fill], has left undone in a database with demonstration data:
// references, the search index and originals. It reports whether there was anything to do.
func Finish(ctx context.Context, c Config) (did bool, err error) {
	checked, err := migrations.CheckReferences(ctx, c.Pool)
	if err != nil {
		return true, fmt.Errorf("seed: %w", err)
	}
	rows := store.New(c.Pool)
	unbuilt, _, err := rows.SearchWaits(ctx)
	if err != nil {
		return false, fmt.Errorf("seed: %w", err)
	}
	if unbuilt {
		count := c.counter(Searching, 1)
		if _, err := rows.BuildSearch(ctx); err != nil {
			return true, fmt.Errorf("seed: %w", err)
		}
		count()
	}
	painted, err := Paint(ctx, c, 0)
	return checked > 0 || unbuilt || painted > 0, err
}

// Fill fills the database, and stores a draft of each picture, those of the first pages wider than the others. It
// leaves the originals to [Paint], because they take longer than everything else, the search index to a renderer, and
// the check of the references to [migrations.CheckReferences]. It returns ErrNotEmpty, ErrBusy or a *SpaceError before
// it has changed anything. After another error the database is empty and Fill can be called again. If the rows were
// already committed, only drafts are missing: [Draft] paints them. The connections of the pool must have no
// statement_timeout, because the indexes of a million photos take a while.
func Fill(ctx context.Context, c Config) error { return c.withDefaults().fill(ctx, true) }

// fill fills the database, and makes drafts at the same time if withDrafts is set.
func (c Config) fill(ctx context.Context, withDrafts bool) error {
	empty, err := Empty(ctx, c.Pool)
	if err != nil {
		return err
	}
	if !empty {
		return ErrNotEmpty
	}
	if err := checkSpace(c); err != nil {
		return err
	}
	p := c.Prepared
	if p == nil {
		if p, err = Prepare(c); err != nil {
			return err
		}
	}
	report := c.reporter()
	group, ctx := errgroup.WithContext(ctx)
	var full atomic.Bool     // The rows are in place.
	drafts := func() error { // One at a time: PostgreSQL builds indexes with the other processors.
		for i, o := range p.orders {
			width := softDraftWidth
			if i < p.first {
				width = draftWidth
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := draft(ctx, c.Pictures, p.album, o, width); err != nil {
				return err
			}
			if full.Load() {
				report(Drafting, int64(i+1), int64(len(p.orders)))
			}
		}
		return nil
	}
	group.Go(func() error {
		err := copyRows(ctx, c.Pool, p.world, report, func() {
			if withDrafts {
				group.Go(drafts)
			}
		})
		full.Store(true)
		return err
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	return nil
}

// reporter makes a Progress callback, which may be nil, safe for concurrent use.
func (c Config) reporter() func(Stage, int64, int64) {
	if c.Progress == nil {
		return func(Stage, int64, int64) {}
	}
	var mu sync.Mutex
	return func(s Stage, done, total int64) {
		mu.Lock()
		defer mu.Unlock()
		c.Progress(Progress{Stage: s, Done: done, Total: max(done, total)})
	}
}

// counter reports stage with 0 of total, and returns a function, safe for concurrent use, that reports one more.
func (c Config) counter(stage Stage, total int) func() {
	report := c.reporter()
	report(stage, 0, int64(total))
	var mu sync.Mutex // reports come in the order of done
	var done int64
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		report(stage, done, int64(total))
	}
}

// copyRows copies all rows in one transaction. It calls copied when the database has them and builds its indexes: until
// then making and copying rows takes all processors.
func copyRows(
	ctx context.Context, pool *pgxpool.Pool, w *world, report func(Stage, int64, int64), copied func(),
) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1)", seedingLock).Scan(&mine); err != nil {
			return fmt.Errorf("take the seeding lock: %w", err)
		}
		if !mine {
			return ErrBusy
		}
		// Checked again while holding the lock.
		var has bool
		if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM users)").Scan(&has); err != nil {
			return fmt.Errorf("look for users: %w", err)
		}
		if has {
			return ErrNotEmpty
		}
		load := func() error {
			err := copyAll(ctx, tx, w, report)
			if err == nil {
				copied()
			}
			return err
		}
		return migrations.WithoutIndexes(
			ctx, tx, load, func(done, total int) { report(Indexing, int64(done), int64(total)) },
		)
	})
}

// copyAll copies the tables one after the other.
func copyAll(ctx context.Context, tx pgx.Tx, w *world, report func(Stage, int64, int64)) error {
	users := (w.plan.users + chunkUsers - 1) / chunkUsers
	photos := len(w.chunks)
	contents := make([]rows, users) // What is in the albums: made with them, copied after.
	firstAlbum := w.numberAlbums(users)
	done, total := int64(0), int64(w.plan.users+len(w.tags.names))+int64(w.plan.photos)*9/2
	report(Copying, 0, total)
	made := func(n int64) {
		done += n
		report(Copying, done, total)
	}
	userRange := func(i int) (int, int) { return i * chunkUsers, min((i+1)*chunkUsers, w.plan.users) }
	for _, t := range []struct {
		table   string
		columns []string
		pieces  int
		piece   func(m *maker, out *rows, i int)
	}{
		{"users", userColumns(), users, func(m *maker, out *rows, i int) {
			from, to := userRange(i)
			m.users(out, from, to)
		}},
		{"images", imageColumns(), 1, func(m *maker, out *rows, _ int) { m.images(out) }},
		{"photos", photoColumns(), photos, func(m *maker, out *rows, i int) { m.photos(out, &w.chunks[i]) }},
		{"tags", tagColumns(), 1, func(m *maker, out *rows, _ int) { m.tagRows(out) }},
		{"photo_tags", photoTagColumns(), photos, func(m *maker, out *rows, i int) { m.photoTags(out, &w.chunks[i]) }},
		{"albums", albumColumns(), users, func(m *maker, out *rows, i int) {
			from, to := userRange(i)
			m.albums(out, &contents[i], from, to, firstAlbum[i])
		}},
		{"album_photos", albumPhotoColumns(), users, func(_ *maker, out *rows, i int) { *out = contents[i] }},
	} {
		if err := copyTable(ctx, tx, t.table, t.columns, t.pieces, t.piece, w, made); err != nil {
			return err
		}
	}
	report(Copying, done, done)
	return addAccounts(ctx, tx)
}

const chunkUsers = 2000

// numberAlbums returns the id of the first album of each piece of the users.
func (w *world) numberAlbums(pieces int) []int64 {
	m := w.maker()
	first := make([]int64, pieces)
	id := int64(1)
	for user := range w.plan.users {
		if user%chunkUsers == 0 {
			first[user/chunkUsers] = id
		}
		id += int64(m.albumsOf(user))
	}
	return first
}
