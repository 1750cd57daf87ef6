package store

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"flickrkillr/renderer/words"
)

// searchIndexer writes to the index within a transaction.
type searchIndexer struct {
	tx      pgx.Tx
	builder words.Builder
	counts  map[string]int    // what is to be added to search_words
	forms   map[string]string // of what is added
}

// apply updates the index for entries of the queue. done counts the entries that it removed from the queue.
func (x *searchIndexer) apply(ctx context.Context, entries []searchEntry) (done int, err error) {
	x.forms = map[string]string{}
	refs := map[string][]int64{}
	for _, e := range entries {
		refs[e.kind] = append(refs[e.kind], e.ref)
		for _, word := range e.removed {
			x.counts[word]--
		}
	}
	for kind := range refs {
		slices.Sort(refs[kind])
		refs[kind] = slices.Compact(refs[kind])
	}
	busy, err := x.photos(ctx, refs["photo"])
	if err != nil {
		return 0, err
	}
	if err := x.people(ctx, refs["user"]); err != nil {
		return 0, err
	}
	if err := x.spread(ctx, refs["album"], refs["photos of user"]); err != nil {
		return 0, err
	}
	if err := x.count(ctx); err != nil {
		return 0, err
	}
	var gone, kept queueKeys
	for _, e := range entries {
		if e.kind == "photo" && e.removed == nil && slices.Contains(busy, e.ref) {
			kept.add(&e)
		} else {
			gone.add(&e)
		}
	}
	if _, err := x.tx.Exec(ctx, `DELETE FROM search_queue q USING unnest($1::boolean[], $2::bigint[]) AS e (later, id)
		WHERE q.later = e.later AND q.id = e.id`, gone.later, gone.ids); err != nil {
		return 0, err
	}
	if len(kept.ids) == 0 {
		return len(gone.ids), nil
	}
	_, err = x.tx.Exec(ctx, `UPDATE search_queue q SET id = DEFAULT
		FROM unnest($1::boolean[], $2::bigint[]) AS e (later, id)
		WHERE q.later = e.later AND q.id = e.id`, kept.later, kept.ids)
	return len(gone.ids), err
}

// spread queues the photos of renamed albums and users.
func (x *searchIndexer) spread(ctx context.Context, albums, users []int64) error {
	if len(albums)+len(users) == 0 {
		return nil
	}
	_, err := x.tx.Exec(ctx, `
		INSERT INTO search_queue (later, kind, ref)
			SELECT DISTINCT true, 'photo', photo_id FROM album_photos WHERE album_id = ANY ($1::bigint[])
			UNION ALL
			SELECT true, 'photo', id FROM photos WHERE user_id = ANY ($2::bigint[]) AND NOT private`, albums, users)
	return err
}

// photos indexes photos, or removes them from the index if they are no longer public. It leaves out the busy ones,
// which an open transaction is about to hide.
func (x *searchIndexer) photos(ctx context.Context, ids []int64) (busy []int64, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	old, busy, err := x.indexed(ctx, ids)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return slices.Contains(busy, id) })
	rows, err := x.tx.Query(ctx, searchedPhotos+" WHERE p.id = ANY ($1) AND NOT p.private", ids)
	if err != nil {
		return nil, err
	}
	var set photoSearchRows
	err = eachSearchedPhoto(rows, func(p *searchedPhoto) {
		lexemes := x.builder.Photo(&p.Photo)
		text := string(words.AppendText(nil, lexemes))
		x.add(lexemes)
		for _, word := range old[p.id] {
			x.counts[word]--
		}
		delete(old, p.id)
		set.add(p, text)
	})
	if err != nil {
		return nil, err
	}
	if len(set.ids) > 0 {
		if _, err := x.tx.Exec(ctx, `
			INSERT INTO photo_search AS s (photo_id, user_id, faves, quality, year, shape, camera, words)
				SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::integer[], $4::integer[], $5::integer[],
					$6::text[], $7::text[], $8::text[]::tsvector[])
				ON CONFLICT (photo_id) DO UPDATE SET user_id = excluded.user_id, faves = excluded.faves,
					quality = excluded.quality,
					year = excluded.year, shape = excluded.shape, camera = excluded.camera, words = excluded.words
				WHERE (s.user_id, s.faves, s.quality, s.year, s.shape, s.camera, s.words)
					IS DISTINCT FROM (excluded.user_id, excluded.faves, excluded.quality, excluded.year, excluded.shape,
						excluded.camera, excluded.words)`,
			set.ids, set.users, set.faves, set.qualities, set.years, set.shapes, set.cameras, set.words); err != nil {
			return nil, err
		}
	}
	for _, lexemes := range old { // no longer public
		for _, word := range lexemes {
			x.counts[word]--
		}
	}
	if gone := slices.Sorted(maps.Keys(old)); len(gone) > 0 {
		_, err = x.tx.Exec(ctx, "DELETE FROM photo_search WHERE photo_id = ANY ($1)", gone)
	}
	return busy, err
}

// indexed locks the rows of photos and gives their lexemes.
func (x *searchIndexer) indexed(ctx context.Context, ids []int64) (old map[int64][]string, busy []int64, err error) {
	old = map[int64][]string{}
	rows, err := x.tx.Query(ctx, `SELECT photo_id, tsvector_to_array(words) FROM photo_search
		WHERE photo_id = ANY ($1) ORDER BY photo_id FOR UPDATE SKIP LOCKED`, ids)
	if err != nil {
		return nil, nil, err
	}
	var id int64
	var lexemes []string
	if _, err := pgx.ForEachRow(rows, []any{&id, &lexemes}, func() error {
		old[id] = slices.Clone(lexemes)
		return nil
	}); err != nil {
		return nil, nil, err
	}
	rows, err = x.tx.Query(ctx, "SELECT photo_id FROM photo_search WHERE photo_id = ANY ($1)", ids)
	if err != nil {
		return nil, nil, err
	}
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		if _, mine := old[id]; !mine {
			busy = append(busy, id)
		}
		return nil
	})
	return old, busy, err
}

func (x *searchIndexer) add(lexemes []words.Lexeme) {
	for _, l := range lexemes {
		x.counts[l.Text]++
		if l.Form != "" {
			x.forms[l.Text] = l.Form
		}
	}
}

// people indexes users, or takes them out of the index.
func (x *searchIndexer) people(ctx context.Context, ids []int64) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := x.tx.Query(ctx, "SELECT id, name, display_name FROM shown_users WHERE id = ANY ($1)", ids)
	if err != nil {
		return err
	}
	var found []int64
	var vectors []string
	var id int64
	var p words.Person
	if _, err := pgx.ForEachRow(rows, []any{&id, &p.Name, &p.Display}, func() error {
		found, vectors = append(found, id), append(vectors, string(words.AppendText(nil, x.builder.Person(&p))))
		return nil
	}); err != nil {
		return err
	}
	var b pgx.Batch
	b.Queue("DELETE FROM person_search WHERE user_id = ANY ($1) AND NOT user_id = ANY ($2)", ids, found)
	b.Queue(`INSERT INTO person_search (user_id, words) SELECT * FROM unnest($1::bigint[], $2::text[]::tsvector[])
		ON CONFLICT (user_id) DO UPDATE SET words = excluded.words`, found, vectors)
	return x.tx.SendBatch(ctx, &b).Close()
}

const addWords = `INSERT INTO search_words AS w (word, photos, form)
	SELECT * FROM unnest($1::text[], $2::integer[], $3::text[])
	ON CONFLICT (word) DO UPDATE SET photos = w.photos + excluded.photos`

// count brings search_words up to date.
func (x *searchIndexer) count(ctx context.Context) error {
	var changed, forms []string
	var by []int32
	for _, word := range slices.Sorted(maps.Keys(x.counts)) {
		if n := x.counts[word]; n != 0 {
			changed, by, forms = append(changed, word), append(by, int32(n)), append(forms, x.forms[word])
		}
	}
	if len(changed) == 0 {
		return nil
	}
	var b pgx.Batch
	b.Queue(addWords, changed, by, forms)
	b.Queue("DELETE FROM search_words WHERE word = ANY ($1) AND photos <= 0", changed)
	return x.tx.SendBatch(ctx, &b).Close()
}
