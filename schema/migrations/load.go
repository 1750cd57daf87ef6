package migrations

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Tables lists the tables that hold the site's content, in an order in which rows can be inserted with the foreign keys
// in place.
func Tables() []string {
	return []string{
		"users", "images", "photos", "tags", "photo_tags", "albums", "album_photos", "accounts", "recovery_codes",
		"passkeys", "mail_links", "deletions", "deletion_edges", "kept_names", "unused_images", "revocations",
		"uploads", "quota_use", "unmade_pictures", "takeouts", "takeout_parts", "shares",
		"ended_shares", "guest_photos",
	}
}

// WithoutIndexes replaces all content in bulk. It empties the [Tables], drops their keys, indexes and foreign keys,
// disables their triggers, calls load, puts everything back, sets the identity sequences past the largest ids,
// analyzes, counts albums and tags, and raises the version of "all", so that no page cached before is served again. It
// reads from the catalogue what to drop, so this cannot differ from the migrations. It calls progress before the first
// and after each statement that follows load, with how many of them are done.
//
// Rows that break a unique key make it fail. Foreign keys hold for every later write, but the loaded rows are not
// checked against them: [CheckReferences] does that while the site is in use.
//
// All of it happens in tx: readers wait for its end, and an error or a crash leaves the old content in place. Inside
// load, COPY ... WITH (FREEZE) is allowed, since the tables were truncated in the same transaction. load itself fills
// the columns that triggers keep otherwise: photos.posted_at (not decreasing with the id) and users.photo_count (public
// photos). It should leave out users.version. The search index is emptied, and a renderer builds it afterwards. tx's
// user must own the tables. Timeouts of statements and of idling are off until tx ends.
func WithoutIndexes(ctx context.Context, tx pgx.Tx, load func() error, progress func(done, total int)) error {
	tables := Tables()
	off, on, err := keysAndTriggers(ctx, tx, tables)
	if err != nil {
		return fmt.Errorf("read the catalogue: %w", err)
	}
	err = run(ctx, tx, "SET LOCAL statement_timeout = 0", "SET LOCAL idle_in_transaction_session_timeout = 0")
	if err != nil {
		return fmt.Errorf("switch off timeouts: %w", err)
	}
	if err := run(ctx, tx, off...); err != nil {
		return fmt.Errorf("take off keys and triggers: %w", err)
	}
	err = run(ctx, tx,
		"SET LOCAL maintenance_work_mem = '256MB'",
		"SET LOCAL work_mem = '64MB'",
		"SET LOCAL backend_flush_after = '2MB'", // or else the commit waits until all files are on the disk
		"TRUNCATE "+strings.Join(tables, ", "),
		`TRUNCATE album_counts, tag_counts, tag_deltas, photo_search, person_search, search_words, search_queue,
			deletions, deletion_edges, kept_names, unused_images, revocations`)
	if err != nil {
		return fmt.Errorf("empty the tables: %w", err)
	}
	if err := load(); err != nil {
		return err
	}
	done, total := 0, len(on)+len(finish)
	progress(done, total)
	for _, step := range []struct {
		what       string
		statements []string
	}{{"put back keys and triggers", on}, {"finish the load", finish}} {
		for _, sql := range step.statements {
			if err := run(ctx, tx, sql); err != nil {
				return fmt.Errorf("%s: %w", step.what, err)
			}
			done++
			progress(done, total)
		}
	}
	return nil
}

// CheckReferences checks the rows of every foreign key that no check has covered yet, as after [WithoutIndexes], and
// reports how many keys that were. Readers and writers of the tables go on meanwhile. An error names the key that rows
// break; the keys checked before it stay checked.
func CheckReferences(ctx context.Context, pool *pgxpool.Pool) (checked int, err error) {
	rows, err := pool.Query(ctx, `
		SELECT format('ALTER TABLE %s VALIDATE CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
		WHERE contype = 'f' AND NOT convalidated AND conrelid = ANY ($1::regclass[]) ORDER BY conname`, Tables())
	if err != nil {
		return 0, fmt.Errorf("check references: read the catalogue: %w", err)
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return 0, fmt.Errorf("check references: read the catalogue: %w", err)
	}
	for _, sql := range statements {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			return run(ctx, tx, "SET LOCAL statement_timeout = 0", sql)
		})
		if err != nil {
			return checked, fmt.Errorf("check references: %w", err)
		}
		checked++
	}
	return checked, nil
}

// usualRights is what photos have that are loaded without the trigger that gives them their owner's usual rights.
const usualRights = "ALTER TABLE photos ALTER licence SET DEFAULT 'reserved', ALTER downloadable SET DEFAULT false"

// finish is what follows a load once keys and triggers are back.
var finish = []string{
	"ALTER TABLE photos ALTER licence DROP DEFAULT, ALTER downloadable DROP DEFAULT", // see usualRights
	`INSERT INTO album_counts (album_id, photo_count)
		SELECT ap.album_id, count(*) FROM album_photos ap JOIN photos p ON p.id = ap.photo_id WHERE NOT p.private
		GROUP BY ap.album_id`,
	"SELECT recount_tags()",
	"ANALYZE album_counts, tag_counts",
	"UPDATE search_state SET emptied = emptied + 1, built = NOT EXISTS (SELECT FROM users)",
	"SELECT announce_all()",
}

func run(ctx context.Context, tx pgx.Tx, statements ...string) error {
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// keysAndTriggers lists the statements that take off the tables what slows a load down, and those that put it back,
// each in an order that works: a foreign key needs its unique key.
func keysAndTriggers(ctx context.Context, tx pgx.Tx, tables []string) (off, on []string, err error) {
	rows, err := tx.Query(ctx, `
		WITH tables AS (SELECT oid, oid::regclass AS name FROM unnest($1::regclass[]) AS oid),
		things AS (
			SELECT 1 AS off_order, 4 AS on_order, c.conname::text AS name,
				format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, c.conname) AS off,
				format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.name, c.conname, pg_get_constraintdef(c.oid))
					|| CASE WHEN c.convalidated THEN ' NOT VALID' ELSE '' END AS on
			FROM pg_constraint c JOIN tables t ON t.oid = c.conrelid WHERE c.contype = 'f'
			UNION ALL
			SELECT 2, 1, c.conname::text,
				format('ALTER TABLE %s DROP CONSTRAINT %I', t.name, c.conname),
				format('ALTER TABLE %s ADD CONSTRAINT %I %s', t.name, c.conname, pg_get_constraintdef(c.oid))
			FROM pg_constraint c JOIN tables t ON t.oid = c.conrelid WHERE c.contype IN ('p', 'u')
			UNION ALL
			SELECT 2, 2, i.indexrelid::regclass::text,
				format('DROP INDEX %s', i.indexrelid::regclass),
				pg_get_indexdef(i.indexrelid)
			FROM pg_index i JOIN tables t ON t.oid = i.indrelid
			WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
			UNION ALL
			SELECT 9, 3, '', '', format('ANALYZE %s', t.name) FROM tables t
			UNION ALL
			SELECT 3, 5, g.tgname::text,
				format('ALTER TABLE %s DISABLE TRIGGER %I', t.name, g.tgname),
				format('ALTER TABLE %s ENABLE %s TRIGGER %I', t.name,
					CASE g.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, g.tgname)
			FROM pg_trigger g JOIN tables t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal AND g.tgenabled <> 'D'
			UNION ALL
			SELECT 9, 6, a.attname::text, '',
				format('SELECT setval(%L, (SELECT coalesce(max(%I), 0) + 1 FROM %s), false)',
					pg_get_serial_sequence(t.name::text, a.attname), a.attname, t.name)
			FROM pg_attribute a JOIN tables t ON t.oid = a.attrelid WHERE a.attidentity <> '' AND NOT a.attisdropped
		)
		SELECT off, "on", off_order, on_order FROM things ORDER BY on_order, name`, tables)
	if err != nil {
		return nil, nil, err
	}
	var byOrder [10][]string
	var offSQL, onSQL string
	var offOrder, onOrder int
	_, err = pgx.ForEachRow(rows, []any{&offSQL, &onSQL, &offOrder, &onOrder}, func() error {
		if offSQL != "" {
			byOrder[offOrder] = append(byOrder[offOrder], offSQL)
		}
		on = append(on, onSQL)
		return nil
	})
	for _, statements := range byOrder {
		off = append(off, statements...)
	}
	return append(off, usualRights), on, err
}
