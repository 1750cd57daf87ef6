-- +goose Up

-- The albums that lists for everybody have: those in no other one, and those in one that is private.
CREATE VIEW outermost_albums AS SELECT a.* FROM shown_albums a
    WHERE a.parent IS NULL OR (SELECT p.private FROM albums p WHERE p.id = a.parent);

-- The functions below follow the rules of 006.

-- +goose StatementBegin
-- Takes back that photos of a user's own were made public. A public photo keeps the link that it had when it was
-- unlisted (027): such a one is unlisted again, with that link, and the others are private.
CREATE FUNCTION unshow_own_photos(key text, request bytea, its_user bigint, ids bigint[]) RETURNS action_outcome
    LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    mine    bigint[];
    hidden  bigint[];
    kept    shares[];
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    mine := lock_own(its_user, ids, false);
    IF mine = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    hidden := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND NOT p.private ORDER BY p.id);
    kept := ARRAY(SELECT s FROM shares s WHERE s.photo_id = ANY (hidden) AND s.unlisted ORDER BY s.id FOR UPDATE);
    UPDATE photos p SET private = true WHERE p.id = ANY (hidden); -- photos_hidden_link deletes the links
    INSERT INTO shares OVERRIDING SYSTEM VALUE SELECT k.* FROM unnest(kept) AS k;
    result := own_versions(its_user, '{}', hidden);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 022, but an album on its own comes before one that is called the same because it is in another.
CREATE OR REPLACE FUNCTION parent_for(its_user bigint, its_album bigint, label text, OUT parent bigint,
    OUT outcome text) LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF label = '' THEN
        RETURN;
    END IF;
    parent := coalesce((SELECT a.id FROM albums a
            WHERE a.user_id = its_user AND a.parent IS NULL AND lower(a.title) = lower(label) ORDER BY a.id LIMIT 1),
        album_called(its_user, label));
    outcome := CASE WHEN parent IS NULL THEN 'no parent'
        WHEN parent = its_album OR EXISTS (SELECT FROM albums a WHERE a.id = parent_for.parent AND a.parent IS NOT NULL)
            OR EXISTS (SELECT FROM albums a WHERE a.parent = its_album) THEN 'too deep' END;
END $$;
-- +goose StatementEnd

-- A file may be uploaded as an unlisted photo: it is private, and has a link from the commit on that makes it.
ALTER TABLE uploads ADD COLUMN unlisted boolean NOT NULL DEFAULT false;

-- +goose StatementBegin
-- Makes the photo of an unlisted upload unlisted, for a caller who has made it in the same statement, see set_unlisted.
CREATE FUNCTION unlist_uploaded(its_user bigint, its_id text, its_photo bigint, its_nonce bytea, its_hash bytea)
    RETURNS void LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO shares (user_id, photo_id, name, nonce, hash, unlisted)
        SELECT its_user, p.id, '', its_nonce, its_hash, true
        FROM uploads u JOIN photos p ON p.id = u.photo_id AND p.private
        WHERE u.user_id = its_user AND u.id = its_id AND u.photo_id = its_photo AND u.unlisted AND NOT u.duplicate
            AND u.xmin = pg_current_xact_id()::xid
        ON CONFLICT (photo_id) WHERE unlisted AND photo_id IS NOT NULL DO NOTHING;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 018, and the scopes name the photos that got the tag, or lost it, so that this can be taken back.
CREATE OR REPLACE FUNCTION change_own_photos(key text, request bytea, its_user bigint, ids bigint[], what text,
    its_tag text, most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    mine    bigint[];
    wanted  bigint[];
    shown   bigint[] := '{}';
    hidden  bigint[] := '{}';
    others  bigint[] := '{}'; -- those that got the tag, or lost it
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
            WITH put AS (
                INSERT INTO photo_tags (photo_id, tag_id) SELECT m, wanted[1] FROM unnest(mine) AS m
                    WHERE (SELECT count(*) FROM photo_tags t WHERE t.photo_id = m) < 100 ORDER BY m
                    ON CONFLICT DO NOTHING RETURNING photo_id
            ) SELECT coalesce(array_agg(p.photo_id ORDER BY p.photo_id), '{}') INTO others FROM put p;
        WHEN 'untag' THEN
            WITH taken AS (
                DELETE FROM photo_tags t WHERE t.photo_id = ANY (mine)
                    AND t.tag_id = (SELECT g.id FROM tags g WHERE g.name = lower(its_tag)) RETURNING t.photo_id
            ) SELECT coalesce(array_agg(k.photo_id ORDER BY k.photo_id), '{}') INTO others FROM taken k;
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
    result.scopes := result.scopes || ARRAY(SELECT 'photo.' || o FROM unnest(others) AS o ORDER BY o);
    result.versions := result.versions || array_fill(result.versions[1], ARRAY[cardinality(others)]);
    result.gone := result.gone || array_fill(false, ARRAY[cardinality(others)]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 013, together with what new photos of the user get, see set_default_rights.
CREATE FUNCTION edit_profile(key text, request bytea, its_user bigint, new_display_name text, new_bio text,
    new_licence text, new_downloadable boolean) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF new_licence IS NOT NULL OR new_downloadable IS NOT NULL THEN -- before the user, as delete_account does
        UPDATE accounts a SET licence = coalesce(new_licence, a.licence),
                downloadable = coalesce(new_downloadable, a.downloadable) WHERE a.user_id = its_user;
        IF NOT FOUND THEN
            result.outcome := 'not found';
            RETURN result;
        END IF;
    END IF;
    UPDATE users u SET display_name = coalesce(new_display_name, u.display_name), bio = coalesce(new_bio, u.bio)
        WHERE u.id = its_user;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
