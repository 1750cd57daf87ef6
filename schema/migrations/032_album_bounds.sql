-- +goose Up

-- What a change of a photo or of an album costs is bounded: photos of albums are counted by difference, and an album
-- has 10,000 photos at most. Who removes photos and who changes albums take their locks in one order.

-- Differences add up as recounts do, since whoever writes one holds the owner's row: of two transactions the later one
-- sees what the earlier one did. A statement that has both photos.private and their rows of album_photos changed would
-- count them twice. Whoever writes so, or with triggers off, has them counted anew: recount_albums(ids).

-- +goose StatementBegin
-- Adds the difference that each of some photos makes to all its albums. The caller holds the owner's row.
CREATE FUNCTION shift_album_counts(ids bigint[], difference integer) RETURNS void LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO album_counts AS c (album_id, photo_count)
        SELECT m.album_id, difference * count(*) FROM album_photos m WHERE m.photo_id = ANY (ids)
            GROUP BY m.album_id ORDER BY m.album_id
        ON CONFLICT (album_id) DO UPDATE SET photo_count = c.photo_count + excluded.photo_count;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 011, but albums are counted by difference. A photo that is deleted leaves its albums after this: what it was is
-- noted for album_photos_changed.
CREATE OR REPLACE FUNCTION photos_changed() RETURNS trigger LANGUAGE plpgsql
    SET jit = off SET enable_nestloop = off SET enable_seqscan = off AS $$
DECLARE
    r      record;
    raised bigint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT user_id, count(*) AS more_photos, array_agg(id) AS appeared
            FROM new_rows WHERE NOT private GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, r.more_photos, false);
            PERFORM announce('photo.', r.appeared, NULL, raised);
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM set_config('killr.vanished_photos',
            (SELECT coalesce(array_agg(id), '{}')::text FROM old_rows WHERE NOT private), true);
        FOR r IN SELECT user_id, count(*) AS fewer_photos, array_agg(id) AS vanished
            FROM old_rows WHERE NOT private GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, -r.fewer_photos, true);
            PERFORM announce('photo.', NULL, r.vanished, raised);
        END LOOP;
    ELSE
        FOR r IN
            WITH changed AS MATERIALIZED (
                SELECT o.id, o.user_id AS old_owner, n.user_id AS new_owner, NOT o.private AS was_public,
                    NOT n.private AS is_public, o.image_id <> n.image_id AS replaced
                FROM old_rows o JOIN new_rows n ON n.id = o.id
                WHERE n IS DISTINCT FROM o AND NOT (o.private AND n.private)
            ), sides AS (
                SELECT old_owner AS user_id, -was_public::integer AS delta,
                    was_public AND (replaced OR NOT is_public OR old_owner <> new_owner) AS takes_away,
                    CASE WHEN was_public AND NOT is_public THEN id END AS vanished, NULL::bigint AS appeared
                FROM changed
                UNION ALL
                SELECT new_owner, is_public::integer, false, NULL, CASE WHEN is_public AND NOT was_public THEN id END
                FROM changed
            )
            SELECT user_id, sum(delta) AS more_photos, bool_or(takes_away) AS takes_away,
                array_agg(appeared) FILTER (WHERE appeared IS NOT NULL) AS appeared,
                array_agg(vanished) FILTER (WHERE vanished IS NOT NULL) AS vanished
            FROM sides GROUP BY user_id ORDER BY user_id
        LOOP
            raised := touch_owner(r.user_id, r.more_photos, r.takes_away);
            PERFORM announce('photo.', r.appeared, r.vanished, raised);
            PERFORM shift_album_counts(r.appeared, 1);
            PERFORM shift_album_counts(r.vanished, -1);
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 022, but albums are counted by difference. It asks for each photo, not by a join, whose plan for one row might
-- never end for thousands.
CREATE OR REPLACE FUNCTION album_photos_changed() RETURNS trigger LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off AS $$
DECLARE
    r     record;
    gone  bigint[]; -- photos that were public when they were deleted, just now
BEGIN
    IF TG_OP = 'INSERT' THEN
        FOR r IN SELECT user_id FROM new_rows GROUP BY user_id ORDER BY user_id LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            INSERT INTO album_counts AS c (album_id, photo_count)
                SELECT n.album_id,
                        count(*) FILTER (WHERE (SELECT NOT p.private FROM photos p WHERE p.id = n.photo_id))
                    FROM new_rows n WHERE n.user_id = r.user_id GROUP BY n.album_id ORDER BY n.album_id
                ON CONFLICT (album_id) DO UPDATE SET photo_count = c.photo_count + excluded.photo_count
                    WHERE excluded.photo_count <> 0;
        END LOOP;
    ELSIF TG_OP = 'DELETE' THEN
        gone := nullif(current_setting('killr.vanished_photos', true), '')::bigint[];
        FOR r IN SELECT user_id FROM old_rows GROUP BY user_id ORDER BY user_id LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            INSERT INTO album_counts AS c (album_id, photo_count)
                SELECT o.album_id, -count(*) FROM old_rows o
                    WHERE o.user_id = r.user_id AND (SELECT true FROM albums a WHERE a.id = o.album_id)
                        AND (o.photo_id IN (SELECT unnest(gone))
                            OR (SELECT NOT p.private FROM photos p WHERE p.id = o.photo_id))
                    GROUP BY o.album_id ORDER BY o.album_id
                ON CONFLICT (album_id) DO UPDATE SET photo_count = c.photo_count + excluded.photo_count;
        END LOOP;
    ELSE
        FOR r IN
            SELECT user_id, bool_or(NOT moved) AS counts FROM (
                SELECT user_id, false AS moved FROM (
                    (SELECT user_id, album_id, photo_id FROM old_rows
                        EXCEPT SELECT user_id, album_id, photo_id FROM new_rows)
                    UNION ALL
                    (SELECT user_id, album_id, photo_id FROM new_rows
                        EXCEPT SELECT user_id, album_id, photo_id FROM old_rows)
                ) AS members
                UNION ALL
                SELECT user_id, true FROM (SELECT * FROM new_rows EXCEPT SELECT * FROM old_rows) AS places
            ) AS changed GROUP BY user_id ORDER BY user_id
        LOOP
            PERFORM touch_owner(r.user_id, 0, false);
            IF r.counts THEN
                INSERT INTO album_counts AS c (album_id, photo_count)
                    SELECT m.album_id, sum(m.delta) FROM (
                            SELECT album_id, photo_id, -1 AS delta FROM old_rows o WHERE o.user_id = r.user_id
                            UNION ALL
                            SELECT album_id, photo_id, 1 FROM new_rows n WHERE n.user_id = r.user_id
                        ) AS m WHERE (SELECT NOT p.private FROM photos p WHERE p.id = m.photo_id)
                        GROUP BY m.album_id ORDER BY m.album_id
                    ON CONFLICT (album_id) DO UPDATE SET photo_count = c.photo_count + excluded.photo_count
                        WHERE excluded.photo_count <> 0;
            END IF;
        END LOOP;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 003, and albums without any photo count none.
CREATE OR REPLACE FUNCTION truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'album_photos' THEN
        DELETE FROM album_counts;
    END IF;
    PERFORM announce_all();
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Whether an album, or what it would be with some photos, has more than the 10,000 that an album may have.
CREATE FUNCTION album_overfull(its_album bigint, ids bigint[]) RETURNS boolean LANGUAGE plpgsql STABLE
    SET enable_seqscan = off AS $$
BEGIN
    RETURN 10000 < (SELECT count(*) FROM (
            SELECT FROM album_photos m WHERE m.album_id = its_album AND m.photo_id <> ALL (ids) LIMIT 10001
        ) AS others) + cardinality(ids);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 022, and "full": the album has no place for them.
CREATE OR REPLACE FUNCTION add_to_own_album(key text, request bytea, its_user bigint, label text, ids bigint[],
    most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
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
    IF EXISTS (SELECT FROM unnest(mine) AS o (id) WHERE NOT EXISTS (
            SELECT FROM album_photos m WHERE m.album_id = its AND m.photo_id = o.id)) AND album_overfull(its, mine) THEN
        result.outcome := 'full';
        RETURN result;
    END IF;
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

-- Deleting photos for good takes their rows of album_photos in the order of the photos, where a change of an album
-- takes them in its own. So each waits for the other by lock_albums, before all photos.

-- +goose StatementBegin
-- As in 029, with lock_albums for what is deleted for good.
CREATE OR REPLACE FUNCTION change_bin(key text, request bytea, its_user bigint, ids bigint[], what text,
    seen timestamptz, most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    mine    bigint[];
    shown   bigint[] := '{}';
    hidden  bigint[] := '{}';
    others  bigint[] := '{}'; -- nobody but their owner sees them, before and after
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF what IN ('remove', 'empty') THEN
        PERFORM lock_albums(its_user);
    END IF;
    IF what = 'empty' THEN
        ids := ARRAY(SELECT p.id FROM photos p
            WHERE p.user_id = its_user AND p.binned_at IS NOT NULL AND p.binned_at <= seen
            ORDER BY p.binned_at DESC, p.id DESC LIMIT most);
    END IF;
    mine := lock_own(its_user, ids, what <> 'bin');
    IF mine = '{}' AND (what <> 'empty' OR NOT EXISTS (SELECT FROM shown_users u WHERE u.id = its_user)) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    CASE what
        WHEN 'bin' THEN
            hidden := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private ORDER BY p.id);
            others := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND p.private ORDER BY p.id);
            UPDATE photos p SET private = true, private_before = p.private, binned_at = statement_timestamp()
                WHERE p.id = ANY (mine);
        WHEN 'restore' THEN
            shown := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private_before ORDER BY p.id);
            others := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND p.private_before ORDER BY p.id);
            UPDATE photos p SET private = p.private_before, private_before = NULL, binned_at = NULL
                WHERE p.id = ANY (mine);
        WHEN 'remove', 'empty' THEN
            DELETE FROM photos p WHERE p.id = ANY (mine);
    END CASE;
    result := own_versions(its_user, shown, hidden);
    result.scopes := result.scopes || ARRAY(SELECT 'photo.' || o FROM unnest(others) AS o ORDER BY o);
    result.versions := result.versions || array_fill(result.versions[1], ARRAY[cardinality(others)]);
    result.gone := result.gone || array_fill(false, ARRAY[cardinality(others)]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 018, but photos of somebody who is changing albums stay for the next time, too.
CREATE OR REPLACE FUNCTION empty_bins(age interval, most integer) RETURNS integer LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    old   bigint[] := ARRAY(SELECT p.id FROM photos p WHERE p.binned_at < clock_timestamp() - age
            AND EXISTS (SELECT FROM shown_users u WHERE u.id = p.user_id) -- of others delete_rows counts them
        ORDER BY p.binned_at LIMIT most);
    free  bigint[] := ARRAY(SELECT o.user_id FROM (SELECT DISTINCT p.user_id FROM photos p WHERE p.id = ANY (old)) AS o
        WHERE pg_try_advisory_xact_lock(22, hashint8(o.user_id))); -- as lock_albums
    ids   bigint[] := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (old) AND p.user_id = ANY (free)
            AND p.binned_at < clock_timestamp() - age ORDER BY p.id FOR UPDATE SKIP LOCKED);
BEGIN
    DELETE FROM photos p WHERE p.id = ANY (ids);
    RETURN cardinality(ids);
END $$;
-- +goose StatementEnd

-- A file that cannot go into the album that it was uploaded into becomes no photo: the upload ends with the reason.

-- +goose StatementBegin
-- What an outcome of add_to_own_album says to a person; NULL for one that is no problem with the album.
CREATE FUNCTION album_problem(outcome text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE outcome
        WHEN 'too long' THEN
            'No album of yours is called so, and a new one cannot be: shorten the name to 200 characters.'
        WHEN 'too many' THEN 'You have 1,000 albums, and none is called so. Delete one first, or choose one of them.'
        WHEN 'full' THEN 'The album has 10,000 photos, and takes no more. Choose another one.' END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Why a photo that is in no album yet cannot go into the one that its owner calls so; NULL if it can.
CREATE FUNCTION album_refuses(its_user bigint, label text) RETURNS text LANGUAGE plpgsql STABLE
    SET enable_seqscan = off AS $$
DECLARE
    its bigint := album_called(its_user, label);
BEGIN
    IF label IS NULL THEN
        RETURN NULL;
    ELSIF its IS NOT NULL THEN
        RETURN album_problem(CASE WHEN album_overfull(its, '{0}') THEN 'full' END);
    END IF;
    RETURN album_problem(CASE WHEN char_length(label) > 200 THEN 'too long'
        WHEN (SELECT count(*) FROM (SELECT FROM albums a WHERE a.user_id = its_user LIMIT 1000) AS c) = 1000
            THEN 'too many' END);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 031, but it ends the upload with the reason if the photo, which its owner had before, cannot go into the album.
CREATE OR REPLACE FUNCTION upload_became(its_user bigint, its_id text, photo bigint, had_it boolean)
    RETURNS upload_outcome LANGUAGE plpgsql AS $$
DECLARE
    label    text := (SELECT u.album FROM uploads u WHERE u.user_id = its_user AND u.id = its_id);
    problem  text;
BEGIN
    IF label IS NOT NULL THEN
        SELECT album_problem(a.outcome) INTO problem FROM add_to_own_album('upload.' || its_user || '.' || its_id,
            sha256(convert_to(label, 'UTF8')), its_user, label, ARRAY[photo], 1000) AS a;
        IF problem IS NOT NULL THEN
            RETURN end_upload(its_user, its_id, problem);
        END IF;
    END IF;
    UPDATE uploads u SET ended_at = clock_timestamp(), photo_id = photo, duplicate = had_it,
        version = (SELECT s.version FROM users s WHERE s.id = its_user) WHERE u.user_id = its_user AND u.id = its_id;
    RETURN claim_upload(its_user, its_id);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 019, but a photo that goes into an album is locked as add_to_own_album does.
CREATE OR REPLACE FUNCTION reserve_upload(its_user bigint, its_id text, its_image text, its_bytes bigint)
    RETURNS upload_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  upload_outcome := claim_upload(its_user, its_id);
    had     bigint;
BEGIN
    IF result.outcome <> 'open' THEN
        RETURN result;
    END IF;
    IF EXISTS (SELECT FROM accounts a WHERE a.user_id = its_user AND a.disabled_at IS NOT NULL) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    UPDATE uploads u SET image_id = its_image, bytes = its_bytes WHERE u.user_id = its_user AND u.id = its_id;
    SELECT p.id INTO had FROM photos p
        WHERE p.image_id = its_image AND p.user_id = its_user AND p.binned_at IS NULL LIMIT 1
        FOR UPDATE; -- one that is being deleted is not had
    IF FOUND THEN
        RETURN upload_became(its_user, its_id, had, true);
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 021, but a photo that the person has of the file is locked before the owner: upload_became puts it into an
-- album. No other upload makes one meanwhile, as the original is locked first. A photo that the album does not take is
-- not made.
CREATE OR REPLACE FUNCTION finish_upload(its_user bigint, its_id text, its_image text, its_bytes bigint,
    its_width integer, its_height integer, its_color integer, its_title text, its_taken_at timestamptz, its_camera text,
    its_lens text, its_aperture real, its_exposure text, its_iso integer, its_focal_mm real, most_bytes bigint,
    most_photos bigint, bytes_problem text, photos_problem text) RETURNS upload_outcome
    LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    result    upload_outcome := claim_upload(its_user, its_id);
    is_new    boolean;
    used      record;
    excess    text;
    photo     bigint;
BEGIN
    IF result.outcome <> 'open' OR result.image IS DISTINCT FROM its_image THEN
        -- The original is stored by now, perhaps again. Whoever removes originals keeps those that a photo shows.
        PERFORM original_unused(its_user, its_image);
        IF result.outcome = 'open' THEN -- other bytes have arrived since it was read, and are reserved
            result.outcome := 'conflict';
        END IF;
        RETURN result;
    END IF;
    LOOP
        INSERT INTO images (id, bytes, width, height, color)
            VALUES (its_image, its_bytes, its_width, its_height, its_color) ON CONFLICT (id) DO NOTHING;
        is_new := FOUND;
        PERFORM FROM images i WHERE i.id = its_image FOR NO KEY UPDATE; -- two uploads of one file see each other
        EXIT WHEN FOUND;
    END LOOP;
    SELECT p.id INTO photo FROM photos p
        WHERE p.image_id = its_image AND p.user_id = its_user AND p.binned_at IS NULL LIMIT 1 FOR UPDATE;
    IF FOUND THEN
        RETURN upload_became(its_user, its_id, photo, true);
    END IF;
    PERFORM FROM users u WHERE u.id = its_user FOR NO KEY UPDATE; -- before what they store, as the triggers do
    SELECT * INTO used FROM lock_quota(its_user);
    -- claim_upload has locked the albums.
    excess := album_refuses(its_user, (SELECT u.album FROM uploads u WHERE u.user_id = its_user AND u.id = its_id));
    excess := CASE WHEN excess IS NOT NULL THEN excess
        WHEN most_photos > 0 AND used.photos >= most_photos THEN photos_problem
        WHEN most_bytes > 0 AND used.bytes + its_bytes > most_bytes THEN bytes_problem END;
    IF excess IS NOT NULL THEN
        DELETE FROM images i WHERE i.id = its_image AND is_new;
        RETURN end_upload(its_user, its_id, excess);
    END IF;
    INSERT INTO photos (user_id, image_id, width, height, color, title, private, taken_at, camera, lens, aperture,
            exposure, iso, focal_mm)
        SELECT its_user, i.id, i.width, i.height, i.color, its_title, result.private, its_taken_at, its_camera,
            its_lens, its_aperture, its_exposure, its_iso, its_focal_mm
        FROM images i WHERE i.id = its_image RETURNING id INTO photo;
    IF is_new THEN
        INSERT INTO unmade_pictures (image_id) VALUES (its_image)
            ON CONFLICT (image_id) DO UPDATE SET due_at = excluded.due_at, tries = 0;
    END IF;
    RETURN upload_became(its_user, its_id, photo, false);
END $$;
-- +goose StatementEnd
