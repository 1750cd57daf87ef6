-- +goose Up
-- What keeps the versions. A page depends on "user.<name>" for every user whose rows it shows, on "all", and, when it says that something
-- was not found, on that thing's own scope ("photo.7"). Any change to a user's public rows, also one made by hand, raises the user's
-- version in the same transaction and leaves the new version in the outbox.
--
-- Rules of the functions below, each there for a measured reason:
--   Triggers are per statement, with transition tables; they loop over the distinct owners in id order, so that two statements that touch
--   the same owners cannot deadlock. The version is taken inside the UPDATE of the owner's row, that is under its lock: taken before,
--   a later commit could carry a lower version. Rows that an UPDATE left as they were raise nothing.
--   Plans live as long as the session and may have been made for one row: planner settings on the functions rule out the plans that are
--   quick for one row and never end for 100,000. A plan ruled out counts as so costly that JIT would compile it: 100 ms, so that is off too.
--   Locks are taken in one order: the rows that are written, their owner in users, album_counts.

-- Public photos an album has. A table of its own because of that order: a count in albums would be locked after the owner, where an edit
-- of an album locks the album before its owner.
CREATE TABLE album_counts (
    album_id     bigint  PRIMARY KEY,
    photo_count  integer NOT NULL
);

-- +goose StatementBegin
-- Raises a user's version and announces it. takes_away: something that was public no longer is, so copies of earlier versions must not be
-- shown any more, not even as stale ones. Returns the version, also when the user is gone already.
CREATE FUNCTION touch_owner(owner bigint, more_photos bigint, takes_away boolean) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    owner_name text;
    raised     bigint;
BEGIN
    UPDATE users SET version = nextval('versions'), photo_count = photo_count + more_photos WHERE id = owner
        RETURNING name, version INTO owner_name, raised;
    IF owner_name IS NULL THEN
        RETURN nextval('versions');
    END IF;
    INSERT INTO outbox (scope, version, gone) VALUES ('user.' || owner_name, raised, takes_away);
    RETURN raised;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Announces photos or albums that became public or ceased to be, so that a "not found" of before, or the page of before, is known as old.
CREATE FUNCTION announce(kind text, appeared bigint[], vanished bigint[], raised bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF appeared IS NOT NULL THEN
        INSERT INTO outbox (scope, version, gone) SELECT kind || id, raised, false FROM unnest(appeared) AS id;
    END IF;
    IF vanished IS NOT NULL THEN
        INSERT INTO outbox (scope, version, gone) SELECT kind || id, raised, true FROM unnest(vanished) AS id;
        INSERT INTO tombstones AS t (scope, version) SELECT kind || id, raised FROM unnest(vanished) AS id
            ON CONFLICT (scope) DO UPDATE SET version = excluded.version, at = excluded.at WHERE t.version < excluded.version;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Counts albums anew. The caller holds the owner's row, so that of two transactions the later one sees what the earlier one did.
CREATE FUNCTION recount_albums(ids bigint[]) RETURNS void LANGUAGE sql
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    INSERT INTO album_counts AS c (album_id, photo_count)
        SELECT a.id, (SELECT count(*) FROM album_photos ap JOIN photos p ON p.id = ap.photo_id AND NOT p.private WHERE ap.album_id = a.id)
        FROM albums a WHERE a.id = ANY (ids) ORDER BY a.id
        ON CONFLICT (album_id) DO UPDATE SET photo_count = excluded.photo_count WHERE c.photo_count <> excluded.photo_count
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says that everything may have changed. Whoever restores a backup, or writes with triggers off, calls it: SELECT announce_all().
-- The version outranks the clock too, since a restored sequence may be behind what change maps know. Writers are kept out, so that no
-- version below this one is committed after it: what is not found has the version of "all", or its tombstone's if that is higher.
CREATE FUNCTION announce_all() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    clock  bigint;
    raised bigint;
BEGIN
    LOCK TABLE users, photos, albums IN SHARE ROW EXCLUSIVE MODE;
    clock := extract(epoch FROM clock_timestamp()) * 1000;
    raised := nextval('versions');
    IF raised < clock THEN
        raised := setval('versions', clock);
    END IF;
    UPDATE epoch SET version = raised;
    INSERT INTO outbox (scope, version, gone) VALUES ('all', raised, true);
    RETURN raised;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM announce_all();
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % never changes', TG_ARGV[0], TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION users_changed() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_nestloop = off AS $$
DECLARE
    r      record;
    raised bigint;
BEGIN
    -- Names that are no more come first, so that one that another user takes over in the same statement ends with the higher version.
    IF TG_OP = 'DELETE' THEN
        FOR r IN SELECT name FROM old_rows ORDER BY id LOOP
            PERFORM retire_name(r.name);
        END LOOP;
        RETURN NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        FOR r IN SELECT o.name FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE n.name <> o.name ORDER BY o.id LOOP
            PERFORM retire_name(r.name);
        END LOOP;
        FOR r IN SELECT o.id FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE n IS DISTINCT FROM o ORDER BY o.id LOOP
            PERFORM touch_owner(r.id, 0, false);
        END LOOP;
        RETURN NULL;
    END IF;
    -- The column's default was taken before the wait for a name that another transaction was deleting.
    FOR r IN SELECT id FROM new_rows ORDER BY id LOOP
        PERFORM touch_owner(r.id, 0, false);
    END LOOP;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION retire_name(old_name text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    raised bigint := nextval('versions');
BEGIN
    INSERT INTO outbox (scope, version, gone) VALUES ('user.' || old_name, raised, true);
    INSERT INTO tombstones AS t (scope, version) VALUES ('user.' || old_name, raised)
        ON CONFLICT (scope) DO UPDATE SET version = excluded.version, at = excluded.at WHERE t.version < excluded.version;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION photos_changed() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_nestloop = off SET enable_seqscan = off AS $$
DECLARE
    r      record;
    raised bigint;
    albums bigint[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- Transactions that overlap may take their ids and their times in different orders: 10 seconds are forgiven.
        IF EXISTS (SELECT FROM new_rows n WHERE n.posted_at > clock_timestamp() + interval '1 minute'
            OR n.posted_at < (SELECT p.posted_at FROM photos p WHERE p.id < n.id ORDER BY p.id DESC LIMIT 1) - interval '10 seconds'
            OR n.posted_at > (SELECT p.posted_at FROM photos p WHERE p.id > n.id ORDER BY p.id LIMIT 1) + interval '10 seconds')
        THEN
            RAISE EXCEPTION 'posted_at of photos does not follow the order of ids, or lies ahead' USING ERRCODE = 'check_violation';
        END IF;
        FOR r IN SELECT user_id, count(*) AS more_photos, array_agg(id) AS appeared
            FROM new_rows WHERE NOT private GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, r.more_photos, false);
            PERFORM announce('photo.', r.appeared, NULL, raised);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR r IN SELECT user_id, count(*) AS fewer_photos, array_agg(id) AS vanished
            FROM old_rows WHERE NOT private GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, -r.fewer_photos, true);
            PERFORM announce('photo.', NULL, r.vanished, raised);
        END LOOP;
    ELSE
        FOR r IN
            WITH changed AS MATERIALIZED (
                SELECT o.id, o.user_id AS old_owner, n.user_id AS new_owner, NOT o.private AS was_public, NOT n.private AS is_public,
                    o.image_id <> n.image_id AS replaced
                FROM old_rows o JOIN new_rows n ON n.id = o.id
                WHERE n IS DISTINCT FROM o AND NOT (o.private AND n.private)
            ), sides AS (
                SELECT old_owner AS user_id, -was_public::integer AS delta, was_public AND (replaced OR NOT is_public OR old_owner <> new_owner) AS takes_away,
                    CASE WHEN was_public AND NOT is_public THEN id END AS vanished, NULL::bigint AS appeared FROM changed
                UNION ALL
                SELECT new_owner, is_public::integer, false, NULL, CASE WHEN is_public AND NOT was_public THEN id END FROM changed
            )
            SELECT user_id, sum(delta) AS more_photos, bool_or(takes_away) AS takes_away,
                array_agg(appeared) FILTER (WHERE appeared IS NOT NULL) AS appeared,
                array_agg(vanished) FILTER (WHERE vanished IS NOT NULL) AS vanished
            FROM sides GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, r.more_photos, r.takes_away);
            PERFORM announce('photo.', r.appeared, r.vanished, raised);
            IF r.appeared IS NOT NULL OR r.vanished IS NOT NULL THEN
                albums := ARRAY(SELECT DISTINCT ap.album_id FROM album_photos ap WHERE ap.photo_id = ANY (r.appeared || r.vanished));
                IF albums <> '{}' THEN
                    PERFORM recount_albums(albums);
                END IF;
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION stamp_photo() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    NEW.posted_at := greatest(clock_timestamp(), (SELECT p.posted_at FROM photos p WHERE p.id < NEW.id ORDER BY p.id DESC LIMIT 1));
    RETURN NEW;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION albums_changed() RETURNS trigger LANGUAGE plpgsql SET jit = off SET enable_nestloop = off AS $$
DECLARE
    r      record;
    raised bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT user_id, array_agg(id) AS appeared FROM new_rows GROUP BY user_id ORDER BY user_id LOOP
            raised := touch_owner(r.user_id, 0, false);
            PERFORM announce('album.', r.appeared, NULL, raised);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR r IN SELECT user_id, array_agg(id) AS vanished FROM old_rows GROUP BY user_id ORDER BY user_id LOOP
            raised := touch_owner(r.user_id, 0, true);
            PERFORM announce('album.', NULL, r.vanished, raised);
            DELETE FROM album_counts WHERE album_id = ANY (r.vanished);
        END LOOP;
    ELSE
        FOR r IN
            WITH changed AS MATERIALIZED (
                SELECT o.user_id AS old_owner, n.user_id AS new_owner FROM old_rows o JOIN new_rows n ON n.id = o.id WHERE n IS DISTINCT FROM o
            )
            SELECT user_id, bool_or(takes_away) AS takes_away FROM (
                SELECT old_owner AS user_id, old_owner <> new_owner AS takes_away FROM changed UNION ALL SELECT new_owner, false FROM changed
            ) AS sides GROUP BY user_id ORDER BY user_id
        LOOP
            PERFORM touch_owner(r.user_id, 0, r.takes_away);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION album_photos_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT user_id, array_agg(DISTINCT album_id) AS albums FROM new_rows GROUP BY user_id ORDER BY user_id LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            PERFORM recount_albums(r.albums);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR r IN SELECT user_id, array_agg(DISTINCT album_id) AS albums FROM old_rows GROUP BY user_id ORDER BY user_id LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            PERFORM recount_albums(r.albums);
        END LOOP;
    ELSE
        FOR r IN
            SELECT user_id, array_agg(DISTINCT album_id) AS albums FROM (
                (SELECT * FROM old_rows EXCEPT SELECT * FROM new_rows) UNION ALL (SELECT * FROM new_rows EXCEPT SELECT * FROM old_rows)
            ) AS changed GROUP BY user_id ORDER BY user_id
        LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            PERFORM recount_albums(r.albums);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Tags of a photo that was deleted with them find no owner here: the photo's own trigger raises the version.
CREATE FUNCTION photo_tags_changed() RETURNS trigger LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    r record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT DISTINCT p.user_id FROM new_rows c JOIN photos p ON p.id = c.photo_id AND NOT p.private ORDER BY p.user_id LOOP
            PERFORM touch_owner(r.user_id, 0, false);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR r IN SELECT DISTINCT p.user_id FROM old_rows c JOIN photos p ON p.id = c.photo_id AND NOT p.private ORDER BY p.user_id LOOP
            PERFORM touch_owner(r.user_id, 0, false);
        END LOOP;
    ELSE
        FOR r IN
            SELECT DISTINCT p.user_id FROM (
                (SELECT * FROM old_rows EXCEPT SELECT * FROM new_rows) UNION ALL (SELECT * FROM new_rows EXCEPT SELECT * FROM old_rows)
            ) AS c JOIN photos p ON p.id = c.photo_id AND NOT p.private ORDER BY p.user_id
        LOOP
            PERFORM touch_owner(r.user_id, 0, false);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
