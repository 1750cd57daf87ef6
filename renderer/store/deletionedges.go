package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Unknown is a deletion that not all edges are known to have learned of.
type Unknown struct {
	ID      int64
	Name    string
	Version int64
	At      time.Time // when it went from all pages
	Known   []string  // edges that have said so
}

// Scope is the scope of the user.
func (u *Unknown) Scope() string { return "user." + u.Name }

// NextUnknown returns deletions whose edges are to be asked now, at most so many, see [Store.EdgesLearned]. They are
// asked each second at first, and then after a quarter of the time for which they were asked; about photos once the
// last row is gone, whose version may be the highest.
func (s *Store) NextUnknown(ctx context.Context, most int) ([]Unknown, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT d.id, d.name, d.version, coalesce(d.hidden_at, d.deleted_at), ARRAY(SELECT e.edge FROM deletion_edges e
			WHERE e.deletion_id = d.id AND e.learned_at IS NOT NULL)
		FROM deletions d
		WHERE d.edges_know_at IS NULL AND (d.account OR d.rows_gone_at IS NOT NULL)
			AND (d.asked_at IS NULL OR d.asked_at > clock_timestamp()
				OR d.asked_at + greatest(interval '1 s', (d.asked_at - d.deleted_at) / 4) < clock_timestamp())
		ORDER BY d.asked_at NULLS FIRST, d.id LIMIT $1`, most)
	var all []Unknown
	if err == nil {
		all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Unknown])
	}
	if err != nil {
		return nil, fmt.Errorf("look for edges to ask: %w", err)
	}
	return all, nil
}

// EdgesLearned notes what the edges have said about a deletion. known says since when each shows nothing of it any
// more; what an edge has said first counts. missing are those that have not said so. all reports that these are all
// edges; then those without an answer in earlier calls are forgotten, and if none is missing the edges are not asked
// again.
func (s *Store) EdgesLearned(ctx context.Context, deletion int64, known map[string]time.Time, missing []string,
	all bool) error {
	names := slices.Sorted(maps.Keys(known))
	times := make([]*time.Time, 0, len(names)+len(missing))
	for _, name := range names {
		at := known[name]
		times = append(times, &at)
	}
	names = append(names, missing...)
	times = append(times, make([]*time.Time, len(missing))...) // they have none
	_, err := s.pool.Exec(ctx, `
		WITH said AS (
			INSERT INTO deletion_edges AS e (deletion_id, edge, learned_at)
				SELECT $1, a.edge, a.at FROM unnest($2::text[], $3::timestamptz[]) AS a (edge, at)
				ON CONFLICT (deletion_id, edge) DO UPDATE SET learned_at = excluded.learned_at WHERE e.learned_at IS NULL
		), forgotten AS (
			DELETE FROM deletion_edges e
				WHERE $4 AND e.deletion_id = $1 AND e.learned_at IS NULL AND NOT e.edge = ANY ($2::text[])
		)
		UPDATE deletions SET asked_at = clock_timestamp(),
			edges_know_at = CASE WHEN $4 AND array_position($3::timestamptz[], NULL) IS NULL THEN clock_timestamp() END
			WHERE id = $1 AND edges_know_at IS NULL`, deletion, names, times, all)
	if err != nil {
		return fmt.Errorf("note what edges know: %w", err)
	}
	return nil
}
