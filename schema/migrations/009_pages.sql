-- +goose Up
-- What the pages /explore and /tags read: the photos of each day, and how many public photos carry each tag.

-- Taken at once and in this order, so that a migration of a database in use does not wait for a table while it holds another one that a
-- writer wants; migrations.Up tries again if it meets one that goes the other way round.
LOCK TABLE tags, photo_tags, albums, album_photos, photos, users IN SHARE ROW EXCLUSIVE MODE;

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

-- Whether a photo's tags count is decided under the lock on its owner. A change of privacy takes that lock too (003) and reads the tags after
-- it: whoever has the lock second sees what the first one did. A lock on the photo would do the same, and deadlock: a transaction that puts
-- tags on two photos would lock a photo after an owner, where an edit locks its photo before the owner.
-- Owners are locked in the order of their ids, once for a statement, as in 003. So a transaction of several statements that touch several
-- owners can still deadlock with another one.
-- This sets the triggers' names, since triggers fire in the order of their names: photo_tags_counted_... come before those of 004, because
-- these lock the owners of private photos too; photos_update_counted comes after photos_update, which locks the owner.
-- Not exact: a tag is taken off a private photo while a second transaction gives the photo to another owner and a third one makes it public.
-- A tag that is put on holds the photo's key, and with it the owner.

-- +goose StatementBegin
CREATE FUNCTION photo_tags_counted() RETURNS trigger LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    -- Each statement has its own snapshot: the second one sees what was committed before the lock.
    IF TG_OP = 'INSERT' THEN
        PERFORM FROM users u WHERE u.id IN (SELECT p.user_id FROM photos p WHERE p.id IN (SELECT photo_id FROM new_rows))
            ORDER BY u.id FOR NO KEY UPDATE;
        INSERT INTO tag_deltas (tag_id, delta)
            SELECT c.tag_id, count(*) FROM new_rows c JOIN photos p ON p.id = c.photo_id AND NOT p.private GROUP BY c.tag_id;
    ELSIF TG_OP = 'DELETE' THEN -- a photo that was deleted itself is not found here: photo_deleted_counted has counted its tags
        PERFORM FROM users u WHERE u.id IN (SELECT p.user_id FROM photos p WHERE p.id IN (SELECT photo_id FROM old_rows))
            ORDER BY u.id FOR NO KEY UPDATE;
        INSERT INTO tag_deltas (tag_id, delta)
            SELECT c.tag_id, -count(*) FROM old_rows c JOIN photos p ON p.id = c.photo_id AND NOT p.private GROUP BY c.tag_id;
    ELSE
        PERFORM FROM users u WHERE u.id IN (
                SELECT p.user_id FROM photos p WHERE p.id IN (SELECT photo_id FROM old_rows UNION ALL SELECT photo_id FROM new_rows))
            ORDER BY u.id FOR NO KEY UPDATE;
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
-- The tags of photos that become public or private. Per statement: triggers per row would fire before the owner is locked.
CREATE FUNCTION photos_updated_counted() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_nestloop = off SET enable_seqscan = off AS $$
DECLARE
    changed bigint[] := ARRAY(SELECT n.id FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE n.private <> o.private);
BEGIN
    IF changed <> '{}' THEN
        INSERT INTO tag_deltas (tag_id, delta)
            SELECT m.tag_id, sum(CASE WHEN n.private THEN -1 ELSE 1 END) AS delta
            FROM photo_tags m JOIN new_rows n ON n.id = m.photo_id WHERE m.photo_id = ANY (changed)
            GROUP BY m.tag_id HAVING sum(CASE WHEN n.private THEN -1 ELSE 1 END) <> 0;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_update_counted AFTER UPDATE ON photos REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION photos_updated_counted();

-- +goose StatementBegin
-- The tags of a public photo that is deleted, before the deletion takes them away. The photo is locked by then, so none is added. The tags are
-- locked: one that another transaction takes off at this moment is counted by that one alone.
CREATE FUNCTION photo_deleted_counted() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO tag_deltas (tag_id, delta) SELECT m.tag_id, -1 FROM photo_tags m WHERE m.photo_id = OLD.id FOR UPDATE;
    RETURN OLD;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_counted_delete BEFORE DELETE ON photos FOR EACH ROW WHEN (NOT OLD.private) EXECUTE FUNCTION photo_deleted_counted();

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
    LOCK TABLE tag_counts IN SHARE ROW EXCLUSIVE MODE; -- keeps count_tags out, and no writer of photos or tags
    -- One statement, and so one snapshot: the deltas that it deletes belong to the changes that it counts.
    WITH counted AS MATERIALIZED (
        SELECT m.tag_id, count(*) AS photos FROM photo_tags m JOIN photos p ON p.id = m.photo_id WHERE NOT p.private GROUP BY m.tag_id
    ), spent AS (
        DELETE FROM tag_deltas
    ), kept AS (
        INSERT INTO tag_counts (tag_id, photo_count) SELECT tag_id, photos FROM counted
            ON CONFLICT (tag_id) DO UPDATE SET photo_count = excluded.photo_count
    )
    DELETE FROM tag_counts c WHERE NOT EXISTS (SELECT FROM counted k WHERE k.tag_id = c.tag_id);
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
