-- +goose Up
-- What the pages /explore and /tags read: the photos of each day, and how many public photos carry each tag.

-- A day in UTC, most liked photos first; read backwards. The days that have photos are found in it too, one probe a day.
CREATE INDEX photos_day ON photos (((posted_at AT TIME ZONE 'UTC')::date), faves, id) WHERE NOT private;

-- Public photos that carry a tag. Writers never touch this table: a tag may be on 8% of all photos, and a row that every writer raises
-- serialises their commits. They add rows to tag_deltas, and the renderer that relays adds those up once a second (count_tags), so that a
-- count is exact a second or so after a commit. Count plus waiting deltas is exact at any time. A tag without a row has no public photo.
CREATE TABLE tag_counts (
    tag_id       bigint PRIMARY KEY,
    photo_count  bigint NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX tag_counts_most ON tag_counts (photo_count, tag_id) WHERE photo_count > 0;

CREATE TABLE tag_deltas (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tag_id  bigint NOT NULL,
    delta   bigint NOT NULL -- public photos that gained the tag, less those that lost it
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- Whether a photo's tags count is decided under a lock on the photo, so that one who puts a tag on and one who makes the photo private or
-- public see each other's work. The lock comes where the order of locks (003) has it: photos, then their owner. That is why the triggers'
-- names sort before those of 004: triggers fire in the order of their names.

-- +goose StatementBegin
CREATE FUNCTION photo_tags_counted() RETURNS trigger LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM FROM photos p WHERE p.id IN (SELECT photo_id FROM new_rows) ORDER BY p.id FOR NO KEY UPDATE;
        INSERT INTO tag_deltas (tag_id, delta)
            SELECT c.tag_id, count(*) FROM new_rows c JOIN photos p ON p.id = c.photo_id AND NOT p.private GROUP BY c.tag_id;
    ELSIF TG_OP = 'DELETE' THEN -- of a photo that was deleted itself nothing is found here: photo_counted has seen to its tags
        PERFORM FROM photos p WHERE p.id IN (SELECT photo_id FROM old_rows) ORDER BY p.id FOR NO KEY UPDATE;
        INSERT INTO tag_deltas (tag_id, delta)
            SELECT c.tag_id, -count(*) FROM old_rows c JOIN photos p ON p.id = c.photo_id AND NOT p.private GROUP BY c.tag_id;
    ELSE
        PERFORM FROM photos p WHERE p.id IN (SELECT photo_id FROM old_rows UNION ALL SELECT photo_id FROM new_rows) ORDER BY p.id
            FOR NO KEY UPDATE;
        INSERT INTO tag_deltas (tag_id, delta)
            SELECT c.tag_id, sum(c.delta) FROM (
                SELECT photo_id, tag_id, -1 AS delta FROM old_rows UNION ALL SELECT photo_id, tag_id, 1 FROM new_rows
            ) AS c JOIN photos p ON p.id = c.photo_id AND NOT p.private GROUP BY c.tag_id HAVING sum(c.delta) <> 0;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photo_tags_counted_delete AFTER DELETE ON photo_tags REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION photo_tags_counted();
CREATE TRIGGER photo_tags_counted_insert AFTER INSERT ON photo_tags REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION photo_tags_counted();
CREATE TRIGGER photo_tags_counted_update AFTER UPDATE ON photo_tags REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION photo_tags_counted();

-- +goose StatementBegin
-- The tags of a photo that becomes public or private, or is deleted. Per row, and before a deletion, which takes the tags away with it.
CREATE FUNCTION photo_counted() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO tag_deltas (tag_id, delta) SELECT m.tag_id, -1 FROM photo_tags m WHERE m.photo_id = OLD.id;
        RETURN OLD;
    END IF;
    INSERT INTO tag_deltas (tag_id, delta) SELECT m.tag_id, CASE WHEN NEW.private THEN -1 ELSE 1 END FROM photo_tags m WHERE m.photo_id = NEW.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_counted_delete BEFORE DELETE ON photos FOR EACH ROW WHEN (NOT OLD.private) EXECUTE FUNCTION photo_counted();
CREATE TRIGGER photos_counted_update AFTER UPDATE OF private ON photos FOR EACH ROW WHEN (NEW.private <> OLD.private)
    EXECUTE FUNCTION photo_counted();

-- +goose StatementBegin
-- Adds up to so many deltas up and returns how many it took. Several may call it at once: each takes other rows.
CREATE FUNCTION count_tags(most integer) RETURNS bigint LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    n bigint;
BEGIN
    WITH taken AS (
        DELETE FROM tag_deltas WHERE id = ANY (ARRAY(SELECT d.id FROM tag_deltas d ORDER BY d.id LIMIT most FOR UPDATE SKIP LOCKED))
            RETURNING tag_id, delta
    ), counted AS (
        INSERT INTO tag_counts AS c (tag_id, photo_count)
            SELECT tag_id, sum(delta) FROM taken GROUP BY tag_id HAVING sum(delta) <> 0 ORDER BY tag_id
            ON CONFLICT (tag_id) DO UPDATE SET photo_count = c.photo_count + excluded.photo_count
    )
    SELECT count(*) INTO n FROM taken;
    RETURN n;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Counts all tags anew. Whoever restores a backup, or writes with triggers off, calls it besides announce_all: SELECT recount_tags().
CREATE FUNCTION recount_tags() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE photos, photo_tags, tag_deltas, tag_counts IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM tag_deltas;
    DELETE FROM tag_counts;
    INSERT INTO tag_counts (tag_id, photo_count)
        SELECT m.tag_id, count(*) FROM photo_tags m JOIN photos p ON p.id = m.photo_id WHERE NOT p.private GROUP BY m.tag_id;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION photo_tags_emptied() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE tag_deltas, tag_counts;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photo_tags_counted_truncate AFTER TRUNCATE ON photo_tags FOR EACH STATEMENT EXECUTE FUNCTION photo_tags_emptied();

SELECT recount_tags();
