-- +goose Up

-- A zip file has the texts of photos as they were. Those of a photo that is deleted for good go with it: the zip file
-- is made anew without it, by another id, so that nobody joins pieces of both.
ALTER TABLE takeouts
    ADD COLUMN tries integer NOT NULL DEFAULT 0, -- to prepare it that have failed
    ADD COLUMN failed_at timestamptz, -- from then on nobody tries
    ADD COLUMN missing integer NOT NULL DEFAULT 0; -- photos whose originals it does not have

-- Parts go with their zip file by the trigger below. A foreign key would keep everybody from deleting it, and accounts,
-- while it is prepared. Who prepares it changes its row at the end, so no parts are left of one that is gone by then.
ALTER TABLE takeout_parts DROP CONSTRAINT takeout_parts_takeout_id_fkey;

-- +goose StatementBegin
CREATE FUNCTION takeout_parts_go() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM takeout_parts r WHERE r.takeout_id IN (SELECT o.id FROM old_rows o);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER takeouts_parts_delete AFTER DELETE ON takeouts REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION takeout_parts_go();

-- +goose StatementBegin
-- Has zip files made anew that may have photos that are deleted: those that were asked for before the photo was put
-- into the bin. Whoever put it there had begun at most a minute before.
CREATE FUNCTION takeouts_renewed() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    stale text;
BEGIN
    FOR stale IN
        SELECT t.id FROM (SELECT DISTINCT o.user_id FROM old_rows o) AS u JOIN takeouts t ON t.user_id = u.user_id
        WHERE EXISTS (SELECT FROM old_rows o WHERE o.user_id = t.user_id
            AND (o.binned_at IS NULL OR o.binned_at > t.made_at - interval '1 minute'))
        ORDER BY t.id FOR UPDATE OF t
    LOOP
        DELETE FROM takeout_parts r WHERE r.takeout_id = stale;
        UPDATE takeouts t SET id = translate(left(replace(gen_random_uuid()::text, '-', ''), 26), '0189', 'ghij'),
            made_at = clock_timestamp(), due_at = clock_timestamp(), ready_at = NULL, failed_at = NULL, tries = 0,
            photos = 0, missing = 0, bytes = 0 WHERE t.id = stale;
    END LOOP;
    RETURN NULL;
END $$;
-- +goose StatementEnd
-- The last trigger: delete_account locks zip files behind what the others lock, too.
CREATE TRIGGER photos_zip_delete AFTER DELETE ON photos REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION takeouts_renewed();

-- +goose StatementBegin
-- Zip files of an album, which have its title, go with it.
CREATE FUNCTION takeouts_of_album_go() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    DELETE FROM takeouts t USING old_rows o WHERE t.user_id = o.user_id AND t.album_id = o.id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER albums_zip_delete AFTER DELETE ON albums REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION takeouts_of_album_go();

-- +goose StatementBegin
-- As in 025, but it keeps nobody from what refers to the account, such as uploads, and waits for no zip file that
-- somebody else has locked: the next call removes that.
CREATE OR REPLACE FUNCTION begin_takeout(key text, request bytea, its_user bigint, its_id text, its_album bigint,
    most integer) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result     action_outcome := claim_key(key, request);
    its_title  text := '';
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    PERFORM FROM accounts a WHERE a.user_id = its_user AND a.disabled_at IS NULL FOR NO KEY UPDATE;
    IF FOUND AND its_album IS NOT NULL THEN
        SELECT a.title INTO its_title FROM albums a WHERE a.id = its_album AND a.user_id = its_user;
    END IF;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    DELETE FROM takeouts t WHERE t.id IN (SELECT l.id FROM takeouts l WHERE l.id IN (
        SELECT o.id FROM takeouts o WHERE o.user_id = its_user ORDER BY o.made_at DESC, o.id OFFSET most - 1)
        FOR UPDATE SKIP LOCKED);
    INSERT INTO takeouts (user_id, id, album_id, title) VALUES (its_user, its_id, its_album, its_title)
        ON CONFLICT (id) DO NOTHING;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
