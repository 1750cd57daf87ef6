-- +goose Up

-- People make albums of their own: they put photos into them, order them, choose a cover, and put albums into albums.
ALTER TABLE albums
    ADD COLUMN parent bigint, -- the album that it is in, of the same owner and in none itself; NULL: it is in none
    ADD COLUMN cover_photo bigint, -- counts while it is a public photo of the album; the first such one otherwise
    ADD CHECK (parent <> id);
CREATE INDEX albums_parent ON albums (parent, id);
ALTER TABLE albums ADD FOREIGN KEY (parent, user_id) REFERENCES albums (id, user_id) ON DELETE SET NULL (parent);

-- Positions have gaps, so that a photo is moved by writing its own row alone. Who appends to an album begins at
-- 1,001,000 and adds 1,000; spread_album makes new gaps when there is none left.

-- The functions below follow the rules of 006. Those that write take a lock on the user's albums after that on the key
-- (lock_albums), then photos, then albums, then the owner.

-- +goose StatementBegin
-- The photo that stands for an album, if it has a public one: the chosen one, else the first, else that of an album in
-- it. The planner puts this function into the statement that calls it.
CREATE FUNCTION album_cover(its_album bigint, chosen bigint) RETURNS SETOF photos LANGUAGE sql STABLE AS $$
    SELECT c.* FROM photos c WHERE c.id = coalesce(
        (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
            WHERE m.album_id = its_album AND m.photo_id = chosen),
        (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
            WHERE m.album_id = its_album ORDER BY m.position LIMIT 1),
        (SELECT coalesce(
                (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
                    WHERE m.album_id = k.id AND m.photo_id = k.cover_photo),
                (SELECT p.id FROM album_photos m JOIN photos p ON p.id = m.photo_id AND NOT p.private
                    WHERE m.album_id = k.id ORDER BY m.position LIMIT 1))
            FROM albums k JOIN album_counts n ON n.album_id = k.id AND n.photo_count > 0
            WHERE k.parent = its_album ORDER BY k.id LIMIT 1))
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- How many public photos an album and those in it have. The planner puts this function into the statement, too.
CREATE FUNCTION album_size(its_album bigint) RETURNS SETOF bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT n.photo_count FROM album_counts n WHERE n.album_id = its_album), 0)
        + coalesce((SELECT sum(n.photo_count) FROM albums k JOIN album_counts n ON n.album_id = k.id
            WHERE k.parent = its_album), 0)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 003, but photos that only change places have nothing counted.
CREATE OR REPLACE FUNCTION album_photos_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT user_id, array_agg(DISTINCT album_id) AS albums FROM new_rows GROUP BY user_id ORDER BY user_id
        LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            PERFORM recount_albums(r.albums);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        FOR r IN SELECT user_id, array_agg(DISTINCT album_id) AS albums FROM old_rows GROUP BY user_id ORDER BY user_id
        LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            PERFORM recount_albums(r.albums);
        END LOOP;
    ELSE
        FOR r IN
            SELECT user_id, array_agg(DISTINCT album_id) FILTER (WHERE NOT moved) AS albums FROM (
                SELECT user_id, album_id, false AS moved FROM (
                    (SELECT user_id, album_id, photo_id FROM old_rows
                        EXCEPT SELECT user_id, album_id, photo_id FROM new_rows)
                    UNION ALL
                    (SELECT user_id, album_id, photo_id FROM new_rows
                        EXCEPT SELECT user_id, album_id, photo_id FROM old_rows)
                ) AS members
                UNION ALL
                SELECT user_id, album_id, true FROM (SELECT * FROM new_rows EXCEPT SELECT * FROM old_rows) AS places
            ) AS changed GROUP BY user_id ORDER BY user_id
        LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            IF r.albums IS NOT NULL THEN
                PERFORM recount_albums(r.albums);
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Has photos that came into an album, or left it, indexed for the search. Those that only change places are not.
CREATE FUNCTION search_album_photos_moved() RETURNS trigger LANGUAGE plpgsql SET jit = off AS $$
BEGIN
    INSERT INTO search_queue (later, kind, ref) SELECT DISTINCT false, 'photo', photo_id FROM (
            (SELECT album_id, photo_id FROM old_rows EXCEPT SELECT album_id, photo_id FROM new_rows)
            UNION ALL
            (SELECT album_id, photo_id FROM new_rows EXCEPT SELECT album_id, photo_id FROM old_rows)
        ) AS changed ORDER BY 3;
    RETURN NULL;
END $$;
-- +goose StatementEnd
DROP TRIGGER album_photos_search_update ON album_photos;
CREATE TRIGGER album_photos_search_update AFTER UPDATE ON album_photos
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION search_album_photos_moved();

-- +goose StatementBegin
-- Lets nobody else change a user's albums until the transaction ends. It is false for a user who is gone.
CREATE FUNCTION lock_albums(its_user bigint) RETURNS boolean LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(22, hashint8(its_user));
    RETURN EXISTS (SELECT FROM shown_users u WHERE u.id = its_user);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Locks an album of a user's own, and says whether there is one.
CREATE FUNCTION lock_own_album(its_user bigint, its_album bigint) RETURNS boolean LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
BEGIN
    PERFORM FROM albums a WHERE a.id = its_album AND a.user_id = its_user FOR NO KEY UPDATE;
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The album that a user calls so, in whatever case: by its title, or, in another album, by "Other / Title". NULL: none.
CREATE FUNCTION album_called(its_user bigint, label text) RETURNS bigint LANGUAGE plpgsql STABLE
    SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT a.id FROM albums a LEFT JOIN albums p ON p.id = a.parent
        WHERE a.user_id = its_user AND lower(coalesce(p.title || ' / ', '') || a.title) = lower(label)
        ORDER BY a.id LIMIT 1);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes an album, and returns its id. NULL: the user has so many already.
CREATE FUNCTION insert_own_album(its_user bigint, its_title text, its_description text, its_parent bigint, most integer)
    RETURNS bigint LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    made bigint;
BEGIN
    INSERT INTO albums (user_id, title, description, parent)
        SELECT its_user, its_title, its_description, its_parent
        WHERE (SELECT count(*) FROM (SELECT FROM albums a WHERE a.user_id = its_user LIMIT most) AS counted) < most
        RETURNING id INTO made;
    RETURN made;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says which versions a user, whose albums the caller has changed, and an album that appeared or vanished have: "done",
-- the user first. NULL: none did.
CREATE FUNCTION album_versions(its_user bigint, appeared bigint, vanished bigint) RETURNS action_outcome
    LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result action_outcome;
BEGIN
    SELECT 'done', array_agg(c.scope ORDER BY c.nr), array_agg(c.version ORDER BY c.nr), array_agg(c.gone ORDER BY c.nr)
        INTO result.outcome, result.scopes, result.versions, result.gone
        FROM (
            SELECT 0 AS nr, 'user.' || u.name AS scope, u.version, vanished IS NOT NULL AS gone FROM users u
                WHERE u.id = its_user
            UNION ALL
            SELECT 1, 'album.' || appeared, u.version, false FROM users u
                WHERE u.id = its_user AND appeared IS NOT NULL
            UNION ALL
            SELECT 1, t.scope, greatest(t.version, e.version), true FROM tombstones t CROSS JOIN epoch e
                WHERE t.scope = 'album.' || vanished
        ) AS c;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Finds the album that another is to be in, by what the user calls it; '' is none. The outcome is NULL, or what is
-- wrong: "no parent", there is none that is called so; "too deep", one of the two is in an album, or has some.
CREATE FUNCTION parent_for(its_user bigint, its_album bigint, label text, OUT parent bigint, OUT outcome text)
    LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF label = '' THEN
        RETURN;
    END IF;
    parent := album_called(its_user, label);
    outcome := CASE WHEN parent IS NULL THEN 'no parent'
        WHEN parent = its_album OR EXISTS (SELECT FROM albums a WHERE a.id = parent_for.parent AND a.parent IS NOT NULL)
            OR EXISTS (SELECT FROM albums a WHERE a.parent = its_album) THEN 'too deep' END;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Whether another album of the user's at the same place has the title, in whatever case.
CREATE FUNCTION album_title_taken(its_user bigint, its_album bigint, its_title text, its_parent bigint)
    RETURNS boolean LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN EXISTS (SELECT FROM albums a WHERE a.user_id = its_user AND a.id IS DISTINCT FROM its_album
        AND a.parent IS NOT DISTINCT FROM its_parent AND lower(a.title) = lower(its_title));
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes an album of a user's own, in another one or in none (''). Besides the outcomes of parent_for: "taken", there is
-- an album with that title; "too many", the user has so many already; "not found", the user is gone.
CREATE FUNCTION make_own_album(key text, request bytea, its_user bigint, its_title text, its_description text,
    its_parent text, most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    wanted  record;
    made    bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF NOT lock_albums(its_user) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    SELECT * INTO wanted FROM parent_for(its_user, NULL, its_parent);
    result.outcome := wanted.outcome;
    IF result.outcome IS NULL AND album_title_taken(its_user, NULL, its_title, wanted.parent) THEN
        result.outcome := 'taken';
    END IF;
    IF result.outcome IS NULL THEN
        made := insert_own_album(its_user, its_title, its_description, wanted.parent, most);
        IF made IS NULL THEN
            result.outcome := 'too many';
        END IF;
    END IF;
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    result := album_versions(its_user, made, NULL);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Changes an album of a user's own; NULL leaves something as it is. The outcomes are those of make_own_album.
CREATE FUNCTION edit_own_album(key text, request bytea, its_user bigint, its_album bigint, new_title text,
    new_description text, new_parent text) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    before  record;
    wanted  record;
    place   bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF NOT lock_albums(its_user) OR NOT lock_own_album(its_user, its_album) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    SELECT a.title, a.parent INTO before FROM albums a WHERE a.id = its_album;
    place := before.parent;
    IF new_parent IS NOT NULL THEN
        SELECT * INTO wanted FROM parent_for(its_user, its_album, new_parent);
        result.outcome := wanted.outcome;
        place := wanted.parent;
    END IF;
    IF result.outcome IS NULL AND (lower(new_title) <> lower(before.title) OR place IS DISTINCT FROM before.parent)
            AND album_title_taken(its_user, its_album, coalesce(new_title, before.title), place) THEN
        result.outcome := 'taken';
    END IF;
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE albums a SET title = coalesce(new_title, a.title), description = coalesce(new_description, a.description),
            parent = place WHERE a.id = its_album;
    result := album_versions(its_user, NULL, NULL);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes an album of a user's own. Its photos stay, and albums in it are in none then.
CREATE FUNCTION delete_own_album(key text, request bytea, its_user bigint, its_album bigint) RETURNS action_outcome
    LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF NOT lock_albums(its_user) OR NOT lock_own_album(its_user, its_album) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    DELETE FROM albums a WHERE a.id = its_album;
    result := album_versions(its_user, NULL, its_album);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Chooses the cover of an album of a user's own: a photo of it, or NULL for the first one. "not found": the photo is
-- none of the album; "hidden": not everybody may see it.
CREATE FUNCTION cover_own_album(key text, request bytea, its_user bigint, its_album bigint, its_photo bigint)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    hidden  boolean;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF NOT lock_albums(its_user) OR NOT lock_own_album(its_user, its_album) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF its_photo IS NOT NULL THEN
        SELECT p.private INTO hidden FROM album_photos m JOIN photos p ON p.id = m.photo_id
            WHERE m.album_id = its_album AND m.photo_id = its_photo;
        result.outcome := CASE WHEN hidden IS NULL THEN 'not found' WHEN hidden THEN 'hidden' END;
        IF result.outcome IS NOT NULL THEN
            RETURN result;
        END IF;
    END IF;
    UPDATE albums a SET cover_photo = its_photo WHERE a.id = its_album;
    result := album_versions(its_user, NULL, NULL);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes equal gaps between the positions in an album. Photos that are to be moved go in front of the one that has the
-- position before; NULL: behind all others.
CREATE FUNCTION spread_album(its_album bigint, moved bigint[], before integer) RETURNS void LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
BEGIN
    UPDATE album_photos m SET position = 1000000 + 1000 * o.nr FROM (
            SELECT n.photo_id, row_number() OVER (ORDER BY
                CASE WHEN n.photo_id = ANY (moved) THEN 1 WHEN n.position >= before THEN 2 ELSE 0 END, n.position) AS nr
            FROM album_photos n WHERE n.album_id = its_album
        ) AS o WHERE m.album_id = its_album AND m.photo_id = o.photo_id;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Puts photos of a user's own at the end of the album that they call so, in the given order, and makes the album if
-- there is none. Photos that are in it stay where they are. "not found": none of the photos is theirs, or all are in
-- the bin; "too many": the user has so many albums already; "too long": no new album can be called so.
CREATE FUNCTION add_to_own_album(key text, request bytea, its_user bigint, label text, ids bigint[], most integer)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    mine    bigint[];
    its     bigint;
    made    bigint;
    last    bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF lock_albums(its_user) THEN
        mine := lock_own(its_user, ids, false);
    END IF;
    IF coalesce(mine, '{}') = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    its := album_called(its_user, label);
    IF its IS NULL THEN
        IF char_length(label) > 200 THEN
            result.outcome := 'too long';
            RETURN result;
        END IF;
        made := insert_own_album(its_user, label, '', NULL, most);
        IF made IS NULL THEN
            result.outcome := 'too many';
            RETURN result;
        END IF;
        its := made;
        -- Nobody else should read what private photos are called together (028).
        UPDATE albums a SET private = true
            WHERE a.id = made AND NOT EXISTS (SELECT FROM photos p WHERE p.id = ANY (mine) AND NOT p.private);
    END IF;
    PERFORM lock_own_album(its_user, its);
    last := (SELECT max(m.position) FROM album_photos m WHERE m.album_id = its);
    IF last > 2000000000 THEN
        PERFORM spread_album(its, '{}', NULL);
        last := (SELECT max(m.position) FROM album_photos m WHERE m.album_id = its);
    END IF;
    INSERT INTO album_photos (album_id, photo_id, user_id, position)
        SELECT its, g.id, its_user, coalesce(last, 1000000) + 1000 * row_number() OVER (ORDER BY g.nr)
        FROM unnest(ids) WITH ORDINALITY AS g (id, nr) WHERE g.id = ANY (mine)
        ON CONFLICT (album_id, photo_id) DO NOTHING;
    result := album_versions(its_user, made, NULL);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Takes photos out of an album of a user's own, which has the id, or is called so. "not found": there is no such album.
CREATE FUNCTION take_from_own_album(key text, request bytea, its_user bigint, its_album bigint, label text,
    ids bigint[]) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    its     bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF lock_albums(its_user) THEN
        its := coalesce(its_album, album_called(its_user, label));
    END IF;
    IF its IS NULL OR NOT lock_own_album(its_user, its) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    DELETE FROM album_photos m WHERE m.album_id = its AND m.photo_id = ANY (ids);
    result := album_versions(its_user, NULL, NULL);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Moves photos of an album of a user's own, which keep their order among each other: to the "first" or "last" place, a
-- place "earlier" or "later", "before" or "after" the photo with the id n, or to the "place" with the number n. What is
-- in the bin has no place. It writes the rows of these photos alone while there is a gap for them. "not found": there
-- is no such album, or none of the photos, or not the photo n, is in it.
CREATE FUNCTION move_in_own_album(key text, request bytea, its_user bigint, its_album bigint, ids bigint[], how text,
    n bigint) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    moved   bigint[]; -- in their order
    edge    integer; -- the position of the first or last of them, or of the photo n
    hi      integer; -- the position that follows them then; NULL: none
    lo      integer; -- the position before them then; NULL: none
    many    bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF lock_albums(its_user) AND lock_own_album(its_user, its_album) THEN
        moved := ARRAY(SELECT m.photo_id FROM album_photos m WHERE m.album_id = its_album AND m.photo_id = ANY (ids)
            ORDER BY m.position);
    END IF;
    many := cardinality(moved);
    IF how IN ('before', 'after') THEN
        edge := (SELECT m.position FROM album_photos m WHERE m.album_id = its_album AND m.photo_id = n
            AND n <> ALL (ids));
    ELSE
        SELECT CASE how WHEN 'earlier' THEN min(m.position) ELSE max(m.position) END INTO edge FROM album_photos m
            WHERE m.album_id = its_album AND m.photo_id = ANY (moved);
    END IF;
    IF coalesce(many, 0) = 0 OR edge IS NULL THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF how = 'earlier' THEN
        hi := (SELECT m.position FROM album_photos m JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL
            WHERE m.album_id = its_album AND m.photo_id <> ALL (moved) AND m.position < edge
            ORDER BY m.position DESC LIMIT 1);
        hi := coalesce(hi, (SELECT min(m.position) FROM album_photos m
            WHERE m.album_id = its_album AND m.photo_id <> ALL (moved)));
    ELSIF how = 'later' THEN
        edge := (SELECT m.position FROM album_photos m JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL
            WHERE m.album_id = its_album AND m.photo_id <> ALL (moved) AND m.position > edge
            ORDER BY m.position LIMIT 1);
    ELSIF how = 'before' THEN
        hi := edge;
    ELSIF how IN ('first', 'place') THEN
        hi := (SELECT m.position FROM album_photos m JOIN photos p ON p.id = m.photo_id AND p.binned_at IS NULL
            WHERE m.album_id = its_album AND m.photo_id <> ALL (moved)
            ORDER BY m.position OFFSET CASE how WHEN 'place' THEN n - 1 ELSE 0 END LIMIT 1);
    END IF;
    IF how = 'after' OR how = 'later' AND edge IS NOT NULL THEN
        hi := (SELECT m.position FROM album_photos m
            WHERE m.album_id = its_album AND m.photo_id <> ALL (moved) AND m.position > edge
            ORDER BY m.position LIMIT 1);
    END IF;
    lo := (SELECT m.position FROM album_photos m
        WHERE m.album_id = its_album AND m.photo_id <> ALL (moved) AND (hi IS NULL OR m.position < hi)
        ORDER BY m.position DESC LIMIT 1);
    IF hi IS NULL AND lo > 2000000000 OR lo IS NULL AND hi <= 1000 * many OR hi - lo <= many THEN
        PERFORM spread_album(its_album, moved, hi);
    ELSIF hi IS NOT NULL OR lo IS NOT NULL THEN
        UPDATE album_photos m SET position = CASE
                WHEN hi IS NULL THEN lo + 1000 * o.nr
                WHEN lo IS NULL THEN hi - 1000 * (many + 1 - o.nr)
                ELSE lo + (hi - lo) * o.nr / (many + 1) END
            FROM unnest(moved) WITH ORDINALITY AS o (id, nr) WHERE m.album_id = its_album AND m.photo_id = o.id;
    END IF;
    result := album_versions(its_user, NULL, NULL);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
