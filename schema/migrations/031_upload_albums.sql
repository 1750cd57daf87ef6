-- +goose Up

-- A file may be uploaded into an album: its photo is there from the commit on that makes it. This replaces functions of
-- 019.
ALTER TABLE uploads ADD COLUMN album text; -- what its owner calls the album; NULL: it goes into none

-- +goose StatementBegin
-- Locks an upload, and, if it goes into an album, the user's albums before the owner; and says what has become of it.
CREATE OR REPLACE FUNCTION claim_upload(its_user bigint, its_id text) RETURNS upload_outcome LANGUAGE plpgsql AS $$
DECLARE
    u       record;
    result  upload_outcome;
BEGIN
    PERFORM FROM accounts a WHERE a.user_id = its_user FOR KEY SHARE; -- before uploads, as delete_account does
    SELECT * INTO u FROM uploads o WHERE o.user_id = its_user AND o.id = its_id FOR UPDATE;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF u.album IS NOT NULL AND u.ended_at IS NULL THEN
        PERFORM lock_albums(its_user);
    END IF;
    result := ROW (CASE WHEN u.ended_at IS NULL THEN 'open' WHEN u.problem IS NULL THEN 'photo' ELSE 'problem' END,
        u.bytes, u.photo_id, u.version, u.private, u.duplicate,
        NOT EXISTS (SELECT FROM unmade_pictures m WHERE m.image_id = u.image_id),
        (SELECT 'user.' || s.name FROM users s WHERE s.id = its_user), u.image_id, u.name, u.problem);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Ends an upload that has become a photo, and puts the photo into the album. It stays out of it if the person has as
-- many albums as they may.
CREATE OR REPLACE FUNCTION upload_became(its_user bigint, its_id text, photo bigint, had_it boolean)
    RETURNS upload_outcome LANGUAGE plpgsql AS $$
DECLARE
    label text := (SELECT u.album FROM uploads u WHERE u.user_id = its_user AND u.id = its_id);
BEGIN
    IF label IS NOT NULL THEN
        PERFORM add_to_own_album('upload.' || its_user || '.' || its_id, sha256(convert_to(label, 'UTF8')), its_user,
            label, ARRAY[photo], 1000);
    END IF;
    UPDATE uploads u SET ended_at = clock_timestamp(), photo_id = photo, duplicate = had_it,
        version = (SELECT s.version FROM users s WHERE s.id = its_user) WHERE u.user_id = its_user AND u.id = its_id;
    RETURN claim_upload(its_user, its_id);
END $$;
-- +goose StatementEnd
