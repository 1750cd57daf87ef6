package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"flickrkillr/renderer/words"
)

// BuildSearch rebuilds the search index from all photos and users while the site is in use. Until it has finished,
// searches find nothing and changes wait in the queue. built is false, and nothing was done, when another process is
// writing the index.
func (s *Store) BuildSearch(ctx context.Context) (built bool, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("build the search index: %w", err)
	}
	defer conn.Release()
	if err = buildSearch(ctx, conn); errors.Is(err, errOtherIndexer) {
		return false, nil
	}
	// Closing the connection undoes the settings of its session.
	err = errors.Join(err, conn.Conn().Close(context.WithoutCancel(ctx)))
	if err != nil {
		return false, fmt.Errorf("build the search index: %w", err)
	}
	return true, nil
}

func buildSearch(ctx context.Context, conn *pgxpool.Conn) error {
	var mine bool
	if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", searchLock).Scan(&mine); err != nil {
		return err
	}
	if !mine {
		return errOtherIndexer
	}
	emptied, err := emptySearch(ctx, conn)
	if err != nil {
		return err
	}
	b := searchBuild{conn: conn, counts: map[string]int32{}, forms: map[string]string{}}
	for _, step := range []func(context.Context) error{b.photos, b.flush, b.people} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	rows, err := conn.Query(ctx, "SELECT search_index_definitions()")
	if err != nil {
		return err
	}
	definitions, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, sql := range append(definitions, "VACUUM ANALYZE photo_search", "VACUUM ANALYZE person_search",
		"VACUUM ANALYZE search_words") {
		sql = strings.Replace(sql, "CREATE INDEX ", "CREATE INDEX CONCURRENTLY ", 1)
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	// If the tables were emptied again meanwhile, the index stays unbuilt, and is built again.
	_, err = conn.Exec(ctx, "UPDATE search_state SET built = true WHERE emptied = $1", emptied)
	return err
}

// emptySearch empties the tables of the index and drops their indexes, in one transaction. emptied is the number of
// this emptying in search_state. It also forgets lexemes that were to be subtracted from search_words: the new counts
// do not contain them.
func emptySearch(ctx context.Context, conn *pgxpool.Conn) (emptied int64, err error) {
	for _, sql := range []string{
		"SET statement_timeout = 0",
		"SET idle_in_transaction_session_timeout = 0",
		"SET maintenance_work_mem = '256MB'",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return 0, fmt.Errorf("%s: %w", sql, err)
		}
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range []string{
			"SET LOCAL lock_timeout = '1s'", // changes of photos wait behind the TRUNCATE
			"TRUNCATE photo_search, person_search, search_words",
			"SELECT drop_search_indexes()",
			"UPDATE search_queue SET removed = NULL WHERE removed IS NOT NULL",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return tx.QueryRow(ctx, "UPDATE search_state SET built = false RETURNING emptied").Scan(&emptied)
	})
	return emptied, err
}

// searchBuild copies all photos and users into the empty tables of the index.
type searchBuild struct {
	conn    *pgxpool.Conn
	builder words.Builder
	counts  map[string]int32  // by lexeme, since the last flush: photos that have it
	forms   map[string]string // by lexeme: the word as it was written, see words.Lexeme
}

const (
	buildBatch = 5000    // photos or users read and copied at once; lexemes whose counts are written at once
	flushAbove = 500_000 // lexemes counted in memory, about 100 bytes each
)

// photos copies the public photos.
func (b *searchBuild) photos(ctx context.Context) error {
	for last := int64(0); ; {
		rows, err := b.conn.Query(ctx, searchedPhotos+" WHERE NOT p.private AND p.id > $1 ORDER BY p.id LIMIT $2",
			last, buildBatch)
		if err != nil {
			return err
		}
		var copied [][]any
		if err := eachSearchedPhoto(rows, func(p *searchedPhoto) {
			last = p.id
			lexemes := b.builder.Photo(&p.Photo)
			b.count(lexemes)
			copied = append(copied, []any{
				p.id, p.user, int32(p.Faves), int32(p.Quality), int32(p.Year), words.Shape(p.Width, p.Height), p.Camera,
				vectorOf(lexemes),
			})
		}); err != nil {
			return err
		}
		if len(copied) == 0 {
			return nil
		}
		if len(b.counts) > flushAbove {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
		if _, err := b.conn.CopyFrom(
			ctx, pgx.Identifier{"photo_search"},
			[]string{"photo_id", "user_id", "faves", "quality", "year", "shape", "camera", "words"},
			pgx.CopyFromRows(copied),
		); err != nil {
			return err
		}
	}
}

// vectorOf converts lexemes to what COPY takes for a tsvector.
func vectorOf(lexemes []words.Lexeme) pgtype.TSVector {
	v := pgtype.TSVector{Valid: true, Lexemes: make([]pgtype.TSVectorLexeme, len(lexemes))}
	for i, l := range lexemes {
		v.Lexemes[i].Word = l.Text
		for _, p := range l.Positions {
			at, weight := words.Place(p)
			v.Lexemes[i].Positions = append(v.Lexemes[i].Positions, pgtype.TSVectorPosition{
				Position: at, Weight: pgtype.TSVectorWeight(weight),
			})
		}
	}
	return v
}

// count adds the lexemes of a photo to the counts.
func (b *searchBuild) count(lexemes []words.Lexeme) {
	for _, l := range lexemes {
		n, known := b.counts[l.Text]
		if known {
			b.counts[l.Text] = n + 1
			continue
		}
		text := strings.Clone(l.Text) // not a part of a long description that would stay in memory
		b.counts[text] = 1
		b.forms[text] = strings.Clone(l.Form)
	}
}

// flush adds the counts to search_words and clears them.
func (b *searchBuild) flush(ctx context.Context) error {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(b.counts)), buildBatch) {
		by, forms := make([]int32, len(chunk)), make([]string, len(chunk))
		for i, word := range chunk {
			by[i], forms[i] = b.counts[word], b.forms[word]
		}
		if _, err := b.conn.Exec(ctx, addWords, chunk, by, forms); err != nil {
			return err
		}
	}
	clear(b.counts)
	clear(b.forms)
	return nil
}

// people copies the users.
func (b *searchBuild) people(ctx context.Context) error {
	for last := int64(0); ; {
		rows, err := b.conn.Query(ctx,
			"SELECT id, name, display_name FROM shown_users WHERE id > $1 ORDER BY id LIMIT $2", last, buildBatch)
		if err != nil {
			return err
		}
		var copied [][]any
		var p words.Person
		if _, err := pgx.ForEachRow(rows, []any{&last, &p.Name, &p.Display}, func() error {
			copied = append(copied, []any{last, vectorOf(b.builder.Person(&p))})
			return nil
		}); err != nil {
			return err
		}
		if len(copied) == 0 {
			return nil
		}
		if _, err := b.conn.CopyFrom(
			ctx, pgx.Identifier{"person_search"}, []string{"user_id", "words"}, pgx.CopyFromRows(copied),
		); err != nil {
			return err
		}
	}
}
