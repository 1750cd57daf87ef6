package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// searchLock is the advisory lock of the process that writes the search index: "search".
const searchLock = 0x736561726368

// IndexMost is how many entries of the queue [Store.IndexOnce] takes at once.
const IndexMost = 400

// errOtherIndexer: another process is writing the search index.
var errOtherIndexer = errors.New("another process writes the search index")

// IndexOnce updates the search index for at most most entries of the queue, and at most [IndexMost], in one
// transaction. n counts the entries done; while it is not 0, more may wait. Photos that another transaction is about
// to hide go to the end of the queue. One process at a time works; n is 0 when it is another one.
func (s *Store) IndexOnce(ctx context.Context, most int) (n int, err error) {
	err = s.indexing(ctx, func(tx pgx.Tx) error {
		entries, err := takeSearchQueue(ctx, tx, min(most, IndexMost))
		if err != nil || len(entries) == 0 {
			return err
		}
		x := searchIndexer{tx: tx, counts: map[string]int{}}
		n, err = x.apply(ctx, entries)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("index: %w", err)
	}
	return n, nil
}

// PostponeIndexing moves the first entry of the queue to the end and returns it; kind is "" if the queue is empty.
func (s *Store) PostponeIndexing(ctx context.Context) (kind string, ref int64, err error) {
	err = s.indexing(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			UPDATE search_queue SET later = true, id = DEFAULT
				WHERE (later, id) = (SELECT later, id FROM search_queue ORDER BY later, id LIMIT 1)
				RETURNING kind, ref`).Scan(&kind, &ref)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("index: postpone: %w", err)
	}
	return kind, ref, err
}

// indexing calls f in a transaction, unless another process writes the index or none is built yet.
func (s *Store) indexing(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var mine, built bool
		err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock($1), built FROM search_state",
			searchLock).Scan(&mine, &built)
		if err != nil || !mine || !built {
			return err
		}
		return f(tx)
	})
}

// SearchWaits reports whether the search index has to be built, or else whether its queue holds something.
func (s *Store) SearchWaits(ctx context.Context) (build, queued bool, err error) {
	err = s.pool.QueryRow(ctx, "SELECT NOT built, EXISTS (SELECT FROM search_queue) FROM search_state").Scan(&build,
		&queued)
	if err != nil {
		err = fmt.Errorf("index: look: %w", err)
	}
	return build, queued, err
}

type searchEntry struct {
	later   bool
	id      int64
	kind    string
	ref     int64
	removed []string
}

func takeSearchQueue(ctx context.Context, tx pgx.Tx, most int) ([]searchEntry, error) {
	rows, err := tx.Query(ctx, "SELECT later, id, kind, ref, removed FROM search_queue ORDER BY later, id LIMIT $1",
		most)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (e searchEntry, err error) {
		err = r.Scan(&e.later, &e.id, &e.kind, &e.ref, &e.removed)
		return e, err
	})
}

// queueKeys are primary keys of search_queue, by column.
type queueKeys struct {
	later []bool
	ids   []int64
}

func (k *queueKeys) add(e *searchEntry) {
	k.later, k.ids = append(k.later, e.later), append(k.ids, e.id)
}
