-- +goose Up

-- Counts all tags anew. Whoever restores a backup, or writes with triggers off, calls it besides announce_all: SELECT recount_tags().
-- Few photos are private, so it counts all photos and subtracts those, which takes a third of the time.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION recount_tags() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE tag_counts IN SHARE ROW EXCLUSIVE MODE; -- keeps count_tags out, and no writer of photos or tags
    -- One statement, and so one snapshot: the deltas that it deletes belong to the changes that it counts.
    WITH all_photos AS (
        SELECT tag_id, count(*) AS photos FROM photo_tags GROUP BY tag_id
    ), hidden AS (
        SELECT m.tag_id, count(*) AS photos FROM photos p JOIN photo_tags m ON m.photo_id = p.id WHERE p.private GROUP BY m.tag_id
    ), counted AS MATERIALIZED (
        SELECT tag_id, a.photos - coalesce(h.photos, 0) AS photos FROM all_photos a LEFT JOIN hidden h USING (tag_id)
            WHERE a.photos > coalesce(h.photos, 0)
    ), spent AS (
        DELETE FROM tag_deltas
    ), kept AS (
        INSERT INTO tag_counts (tag_id, photo_count) SELECT tag_id, photos FROM counted
            ON CONFLICT (tag_id) DO UPDATE SET photo_count = excluded.photo_count
    )
    DELETE FROM tag_counts c WHERE NOT EXISTS (SELECT FROM counted k WHERE k.tag_id = c.tag_id);
END $$;
-- +goose StatementEnd
