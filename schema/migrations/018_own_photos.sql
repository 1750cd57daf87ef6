-- +goose Up

-- People change and delete their own photos. What they delete is in their bin for 30 days. A photo in the bin is
-- private, so whatever hides private photos hides it.
ALTER TABLE photos
    ADD COLUMN binned_at timestamptz, -- when it was put into the bin; NULL: it is not there
    ADD COLUMN private_before boolean, -- whether it was private before
    ADD CONSTRAINT photos_bin_is_private
        CHECK (CASE WHEN binned_at IS NULL THEN private_before IS NULL ELSE private AND private_before IS NOT NULL END)
        NOT VALID; -- reading all photos would keep everybody from them; see 020

-- The functions below follow the rules of 006. Photos are locked before tags, and tags before the owner (whom the
-- triggers lock): so does every writer of these tables who locks more than one of them.

-- +goose StatementBegin
-- Locks those of some photos that are a user's, in the bin or not, and returns their ids. It finds none of a user who
-- is gone.
CREATE FUNCTION lock_own(its_user bigint, ids bigint[], binned boolean) RETURNS bigint[] LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
BEGIN
    RETURN ARRAY(SELECT p.id FROM photos p
        WHERE p.id = ANY (ids) AND p.user_id = its_user AND (p.binned_at IS NOT NULL) = binned
            AND EXISTS (SELECT FROM shown_users u WHERE u.id = its_user)
        ORDER BY p.id FOR UPDATE);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Returns the ids of tags, and makes those that do not exist. It knows better than its callers what lower case is.
CREATE FUNCTION tag_ids(names text[]) RETURNS bigint[] LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    wanted text[] := ARRAY(SELECT DISTINCT lower(n) COLLATE "C" AS name FROM unnest(names) AS n ORDER BY name);
BEGIN
    INSERT INTO tags (name) SELECT n FROM unnest(wanted) AS n
        WHERE NOT EXISTS (SELECT FROM tags t WHERE t.name = n COLLATE "C") ON CONFLICT (name) DO NOTHING;
    RETURN ARRAY(SELECT t.id FROM tags t WHERE t.name = ANY (wanted));
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says which versions a user, whose photos the caller has changed, and those photos have that became public or ceased
-- to be: "done", the user first.
CREATE FUNCTION own_versions(its_user bigint, shown bigint[], hidden bigint[]) RETURNS action_outcome LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    result action_outcome;
BEGIN
    SELECT 'done', array_agg(c.scope ORDER BY c.nr), array_agg(c.version ORDER BY c.nr), array_agg(c.gone ORDER BY c.nr)
        INTO result.outcome, result.scopes, result.versions, result.gone
        FROM (
            SELECT 0 AS nr, 'user.' || u.name AS scope, u.version, hidden <> '{}' AS gone FROM users u
                WHERE u.id = its_user
            UNION ALL
            SELECT s.nr, 'photo.' || s.id, u.version, false
                FROM users u CROSS JOIN unnest(shown) WITH ORDINALITY AS s (id, nr) WHERE u.id = its_user
            UNION ALL
            SELECT h.nr, t.scope, greatest(t.version, e.version), true
                FROM unnest(hidden) WITH ORDINALITY AS h (id, nr) JOIN tombstones t ON t.scope = 'photo.' || h.id
                    CROSS JOIN epoch e
        ) AS c;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Changes a photo of a user's own; NULL leaves something as it is. A day that is the photo's already leaves the time
-- of that day. "not found": it is none of theirs, or in the bin.
CREATE FUNCTION edit_own_photo(key text, request bytea, its_user bigint, its_photo bigint, new_title text,
    new_description text, new_tags text[], set_taken boolean, new_taken date, hide boolean)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result       action_outcome := claim_key(key, request);
    was_private  boolean;
    wanted       bigint[];
    shown        bigint[] := '{}';
    hidden       bigint[] := '{}';
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF lock_own(its_user, ARRAY[its_photo], false) = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    SELECT p.private INTO was_private FROM photos p WHERE p.id = its_photo;
    wanted := tag_ids(new_tags);
    IF new_tags IS NOT NULL THEN
        DELETE FROM photo_tags t WHERE t.photo_id = its_photo AND t.tag_id <> ALL (wanted);
        INSERT INTO photo_tags (photo_id, tag_id) SELECT its_photo, w FROM unnest(wanted) AS w ON CONFLICT DO NOTHING;
    END IF;
    UPDATE photos p SET
            title = coalesce(new_title, p.title), description = coalesce(new_description, p.description),
            private = coalesce(hide, p.private),
            taken_at = CASE WHEN set_taken AND new_taken IS DISTINCT FROM (p.taken_at AT TIME ZONE 'UTC')::date
                THEN new_taken::timestamp AT TIME ZONE 'UTC' ELSE p.taken_at END
        WHERE p.id = its_photo;
    IF was_private AND NOT hide THEN
        shown := ARRAY[its_photo];
    ELSIF hide AND NOT was_private THEN
        hidden := ARRAY[its_photo];
    END IF;
    result := own_versions(its_user, shown, hidden);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Does one thing to several photos of a user's own: "tag" or "untag" with a tag, "public", "private", "bin"; and to
-- those in the bin "restore", "remove", which deletes them for good, or "empty", which removes as many as there are
-- ids at most, those that the page of the bin shows. Each is one statement on photos, so that the owner gets one
-- version. A tag is put on no photo that has 100. Photos that are none of theirs are left out; "not found": all are.
CREATE FUNCTION change_own_photos(key text, request bytea, its_user bigint, ids bigint[], what text, its_tag text,
    most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    mine    bigint[];
    wanted  bigint[];
    shown   bigint[] := '{}';
    hidden  bigint[] := '{}';
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF what = 'empty' THEN
        ids := ARRAY(SELECT p.id FROM photos p WHERE p.user_id = its_user AND p.binned_at IS NOT NULL
            ORDER BY p.binned_at DESC, p.id DESC LIMIT most);
    END IF;
    mine := lock_own(its_user, ids, what IN ('restore', 'remove', 'empty'));
    IF mine = '{}' AND what <> 'empty' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    CASE what
        WHEN 'tag' THEN
            wanted := tag_ids(ARRAY[its_tag]);
            INSERT INTO photo_tags (photo_id, tag_id) SELECT m, wanted[1] FROM unnest(mine) AS m
                WHERE (SELECT count(*) FROM photo_tags t WHERE t.photo_id = m) < 100 ORDER BY m ON CONFLICT DO NOTHING;
        WHEN 'untag' THEN
            DELETE FROM photo_tags t WHERE t.photo_id = ANY (mine)
                AND t.tag_id = (SELECT g.id FROM tags g WHERE g.name = lower(its_tag));
        WHEN 'public' THEN
            shown := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND p.private ORDER BY p.id);
            UPDATE photos p SET private = false WHERE p.id = ANY (shown);
        WHEN 'private' THEN
            hidden := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private ORDER BY p.id);
            UPDATE photos p SET private = true WHERE p.id = ANY (hidden);
        WHEN 'bin' THEN
            hidden := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private ORDER BY p.id);
            UPDATE photos p SET private = true, private_before = p.private, binned_at = statement_timestamp()
                WHERE p.id = ANY (mine);
        WHEN 'restore' THEN
            shown := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private_before ORDER BY p.id);
            UPDATE photos p SET private = p.private_before, private_before = NULL, binned_at = NULL
                WHERE p.id = ANY (mine);
        WHEN 'remove', 'empty' THEN
            DELETE FROM photos p WHERE p.id = ANY (mine);
    END CASE;
    result := own_versions(its_user, shown, hidden);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes at most so many photos that are longer than that in a bin, and returns how many. Those that another
-- transaction has locked stay for the next time.
CREATE FUNCTION empty_bins(age interval, most integer) RETURNS integer LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT p.id FROM photos p WHERE p.binned_at < clock_timestamp() - age
            AND EXISTS (SELECT FROM shown_users u WHERE u.id = p.user_id) -- of others delete_rows counts them
        ORDER BY p.binned_at LIMIT most FOR UPDATE SKIP LOCKED);
BEGIN
    DELETE FROM photos p WHERE p.id = ANY (ids);
    RETURN cardinality(ids);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 006, and what is made public is in no bin any more.
CREATE OR REPLACE FUNCTION set_photo_private(key text, request bytea, photo_id bigint, hide boolean)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    before  record;
    now     record;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT p.user_id, p.private, 'photo.' || p.id AS scope INTO before FROM photos p WHERE p.id = photo_id
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF hide <> before.private THEN
        UPDATE photos p SET private = hide, private_before = NULL, binned_at = NULL WHERE p.id = photo_id;
    END IF;
    SELECT * INTO now FROM photo_versions(before.user_id, before.scope);
    IF NOT hide THEN
        -- What became public has its owner's version, and no "not found" of before is as new as that.
        now.absence := now.version;
    END IF;
    result := ROW ('done'::text, ARRAY[now.owner, before.scope], ARRAY[now.version, now.absence],
        ARRAY[hide AND NOT before.private, hide]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
