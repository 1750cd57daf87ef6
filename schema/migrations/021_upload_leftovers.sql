-- +goose Up

-- What uploads leave behind is bounded, and an original that a killed finish leaves is removed. This replaces functions
-- of 019.

ALTER TABLE unused_images ADD COLUMN due_at timestamptz NOT NULL DEFAULT '-infinity'; -- not removed before
CREATE INDEX uploads_refused ON uploads (user_id) WHERE problem IS NOT NULL;

-- +goose StatementBegin
-- Has the file of an original removed, unless a photo shows it, that an upload stored and will not use. A finish that
-- is under way may store it yet, and be killed then. So it is removed after twice the 15 s that a finish may take.
CREATE FUNCTION original_unused(its_user bigint, its_image text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO unused_images (user_id, image_id, counts, due_at)
        VALUES (its_user, its_image, false, clock_timestamp() + interval '30 seconds');
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION upload_leaves_original() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM original_unused(OLD.user_id, OLD.image_id);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Begins an upload; one that is there already stays, and gets its length if that was not known. "too many bytes" and
-- "too many photos": it would exceed what a person may store, open uploads included; 0 is no limit. One of unknown
-- length counts as longest. "too many uploads": nothing has become of 10,000, whose rows are kept for a day.
CREATE OR REPLACE FUNCTION create_upload(its_user bigint, its_id text, its_name text, its_bytes bigint, hide boolean,
    longest bigint, most_bytes bigint, most_photos bigint) RETURNS upload_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  upload_outcome;
    used    record;
    wanted  record;
BEGIN
    PERFORM FROM accounts a WHERE a.user_id = its_user AND a.disabled_at IS NULL FOR KEY SHARE;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := claim_upload(its_user, its_id);
    IF result.outcome = 'open' AND result.bytes = 0 AND its_bytes > 0 THEN
        UPDATE uploads u SET bytes = its_bytes WHERE u.user_id = its_user AND u.id = its_id;
        result.bytes := its_bytes;
    END IF;
    IF result.outcome <> 'not found' THEN
        RETURN result;
    END IF;
    SELECT * INTO used FROM lock_quota(its_user); -- so that two at once count each other
    SELECT count(*) AS photos, coalesce(sum(coalesce(nullif(u.bytes, 0), longest)), 0) AS bytes
        INTO wanted FROM uploads u WHERE u.user_id = its_user AND u.ended_at IS NULL AND u.id <> its_id;
    IF most_photos > 0 AND used.photos + wanted.photos >= most_photos THEN
        result.outcome := 'too many photos';
        RETURN result;
    ELSIF most_bytes > 0 AND used.bytes + wanted.bytes + coalesce(nullif(its_bytes, 0), longest) > most_bytes
    THEN
        result.outcome := 'too many bytes';
        RETURN result;
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM uploads u WHERE u.user_id = its_user AND u.problem IS NOT NULL
            LIMIT 10000) AS r) = 10000 THEN
        result.outcome := 'too many uploads';
        RETURN result;
    END IF;
    INSERT INTO uploads (user_id, id, name, bytes, private) VALUES (its_user, its_id, its_name, its_bytes, hide)
        ON CONFLICT (user_id, id) DO NOTHING;
    RETURN claim_upload(its_user, its_id);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes the photo of an open upload whose original is stored. "conflict": another original is reserved for it by now.
CREATE OR REPLACE FUNCTION finish_upload(its_user bigint, its_id text, its_image text, its_bytes bigint, its_width integer,
    its_height integer, its_color integer, its_title text, its_taken_at timestamptz, its_camera text, its_lens text,
    its_aperture real, its_exposure text, its_iso integer, its_focal_mm real, most_bytes bigint, most_photos bigint,
    bytes_problem text, photos_problem text) RETURNS upload_outcome
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
        PERFORM FROM images i WHERE i.id = its_image FOR KEY SHARE;
        EXIT WHEN FOUND;
    END LOOP;
    PERFORM FROM users u WHERE u.id = its_user FOR NO KEY UPDATE; -- so that two uploads of one file see each other
    SELECT p.id INTO photo FROM photos p
        WHERE p.image_id = its_image AND p.user_id = its_user AND p.binned_at IS NULL LIMIT 1;
    IF FOUND THEN
        RETURN upload_became(its_user, its_id, photo, true);
    END IF;
    SELECT * INTO used FROM lock_quota(its_user);
    excess := CASE WHEN most_photos > 0 AND used.photos >= most_photos THEN photos_problem
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
