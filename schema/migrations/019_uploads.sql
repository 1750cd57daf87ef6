-- +goose Up

-- Files that people upload. Their bytes are in the staging area of the picture store until they are a photo.
-- A row is the key of its upload: a repeated request finds here what has become of it. Rows are kept for a day.
CREATE TABLE uploads (
    user_id     bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    bytes       bigint      NOT NULL CHECK (bytes >= 0), -- as announced; 0: not known yet
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    photo_id    bigint, -- what it has become
    version     bigint, -- of the owner then
    private     boolean     NOT NULL,
    duplicate   boolean     NOT NULL DEFAULT false, -- the person had that photo already
    id          text COLLATE "C" NOT NULL CHECK (id ~ '^[a-z2-7]{26}$'),
    image_id    text COLLATE "C", -- the original that its file is stored as, or is about to be
    name        text        NOT NULL, -- of the file
    problem     text, -- why it has become nothing
    PRIMARY KEY (user_id, id),
    CHECK ((ended_at IS NULL) = (photo_id IS NULL AND problem IS NULL))
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX uploads_open ON uploads (user_id) WHERE ended_at IS NULL;
CREATE INDEX uploads_refused ON uploads (user_id) WHERE problem IS NOT NULL;
CREATE INDEX uploads_storing ON uploads (image_id) WHERE ended_at IS NULL AND image_id IS NOT NULL;
CREATE INDEX uploads_photo ON uploads (photo_id) WHERE photo_id IS NOT NULL;
CREATE INDEX uploads_created_at ON uploads (created_at);
CREATE INDEX unused_images_image ON unused_images (image_id);
ALTER TABLE unused_images ADD COLUMN due_at timestamptz NOT NULL DEFAULT '-infinity'; -- not removed before

-- What people who upload store, for their quota. The first upload makes the row. From then on triggers keep it, under
-- the lock on the owner, so that it is exact.
CREATE TABLE quota_use (
    user_id  bigint PRIMARY KEY REFERENCES accounts (user_id) ON DELETE CASCADE,
    photos   bigint NOT NULL,
    bytes    bigint NOT NULL -- of their originals; one that two photos show counts twice
) WITH (fillfactor = 50);

-- Originals whose derivatives are not made yet, and whose colour is not known. The renderer that has stored one makes
-- them at once; if it does not, the one that relays takes the row when it is due.
CREATE TABLE unmade_pictures (
    due_at    timestamptz NOT NULL DEFAULT clock_timestamp() + interval '10 seconds',
    tries     integer     NOT NULL DEFAULT 0,
    image_id  text COLLATE "C" PRIMARY KEY
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
CREATE INDEX unmade_pictures_due ON unmade_pictures (due_at);

-- Locks are taken in this order: accounts, uploads, images, photos, users, quota_use.

-- +goose StatementBegin
-- Keeps quota_use. Photos of a person without a row there count when the row is made.
CREATE FUNCTION photos_use_quota() RETURNS trigger LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM FROM users u WHERE u.id IN (SELECT user_id FROM new_rows) ORDER BY u.id FOR NO KEY UPDATE;
        UPDATE quota_use q SET photos = q.photos + n.photos, bytes = q.bytes + n.bytes
            FROM (SELECT p.user_id, count(*) AS photos, sum(i.bytes) AS bytes
                FROM new_rows p JOIN images i ON i.id = p.image_id GROUP BY p.user_id) AS n
            WHERE q.user_id = n.user_id;
    ELSE
        PERFORM FROM users u WHERE u.id IN (SELECT user_id FROM old_rows) ORDER BY u.id FOR NO KEY UPDATE;
        UPDATE quota_use q SET photos = q.photos - o.photos, bytes = q.bytes - o.bytes
            FROM (SELECT p.user_id, count(*) AS photos, sum(i.bytes) AS bytes
                FROM old_rows p JOIN images i ON i.id = p.image_id GROUP BY p.user_id) AS o
            WHERE q.user_id = o.user_id;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_use_quota_insert AFTER INSERT ON photos REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION photos_use_quota();
CREATE TRIGGER photos_use_quota_delete AFTER DELETE ON photos REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION photos_use_quota();

-- +goose StatementBegin
-- A photo that is given to somebody else or shows another original. No action does that; it is done by hand.
CREATE FUNCTION photo_moves_quota() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users u WHERE u.id IN (OLD.user_id, NEW.user_id) ORDER BY u.id FOR NO KEY UPDATE;
    UPDATE quota_use q SET photos = q.photos - 1, bytes = q.bytes - i.bytes FROM images i
        WHERE q.user_id = OLD.user_id AND i.id = OLD.image_id;
    UPDATE quota_use q SET photos = q.photos + 1, bytes = q.bytes + i.bytes FROM images i
        WHERE q.user_id = NEW.user_id AND i.id = NEW.image_id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_use_quota_update AFTER UPDATE ON photos FOR EACH ROW
    WHEN (NEW.user_id <> OLD.user_id OR NEW.image_id <> OLD.image_id) EXECUTE FUNCTION photo_moves_quota();

-- +goose StatementBegin
-- Has the file of an original removed, unless a photo shows it, that an upload stored and will not use. A finish that
-- is under way may store it yet, and be killed then. So it is removed after twice the 15 s that a finish may take.
CREATE FUNCTION original_unused(its_user bigint, its_image text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO unused_images (user_id, image_id, counts, due_at)
        VALUES (its_user, its_image, false, clock_timestamp() + interval '30 seconds');
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION upload_leaves_original() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM original_unused(OLD.user_id, OLD.image_id);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER uploads_leave_update AFTER UPDATE ON uploads FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND OLD.image_id IS NOT NULL
        AND (NEW.image_id IS DISTINCT FROM OLD.image_id OR NEW.problem IS NOT NULL))
    EXECUTE FUNCTION upload_leaves_original();
CREATE TRIGGER uploads_leave_delete AFTER DELETE ON uploads FOR EACH ROW
    WHEN (OLD.ended_at IS NULL AND OLD.image_id IS NOT NULL) EXECUTE FUNCTION upload_leaves_original();

-- The functions below follow the rules of 006.

-- What has become of an upload: "open", nothing yet; "photo"; "problem"; or "not found". scope is the owner's. made: no
-- derivatives of its picture wait to be made.
CREATE TYPE upload_outcome AS (outcome text, bytes bigint, photo bigint, version bigint, private boolean,
    duplicate boolean, made boolean, scope text, image text, name text, problem text);

-- +goose StatementBegin
-- Locks what a person stores, and counts it if it was not counted before.
CREATE FUNCTION lock_quota(its_user bigint, OUT photos bigint, OUT bytes bigint) LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off AS $$
BEGIN
    SELECT q.photos, q.bytes INTO photos, bytes FROM quota_use q WHERE q.user_id = its_user FOR UPDATE;
    IF NOT FOUND THEN
        PERFORM FROM users u WHERE u.id = its_user FOR NO KEY UPDATE; -- as the triggers do
        INSERT INTO quota_use AS q (user_id, photos, bytes)
            SELECT its_user, count(p.id), coalesce(sum(i.bytes), 0)
                FROM photos p JOIN images i ON i.id = p.image_id WHERE p.user_id = its_user
            ON CONFLICT (user_id) DO UPDATE SET photos = q.photos -- locked
            RETURNING q.photos, q.bytes INTO photos, bytes;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Locks an upload and says what has become of it.
CREATE FUNCTION claim_upload(its_user bigint, its_id text) RETURNS upload_outcome LANGUAGE plpgsql AS $$
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
    result := ROW (CASE WHEN u.ended_at IS NULL THEN 'open' WHEN u.problem IS NULL THEN 'photo' ELSE 'problem' END,
        u.bytes, u.photo_id, u.version, u.private, u.duplicate,
        NOT EXISTS (SELECT FROM unmade_pictures m WHERE m.image_id = u.image_id),
        (SELECT 'user.' || s.name FROM users s WHERE s.id = its_user), u.image_id, u.name, u.problem);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Begins an upload; one that is there already stays, and gets its length if that was not known. "too many bytes" and
-- "too many photos": it would exceed what a person may store, open uploads included; 0 is no limit. One of unknown
-- length counts as longest. "too many uploads": nothing has become of 10,000, whose rows are kept for a day.
CREATE FUNCTION create_upload(its_user bigint, its_id text, its_name text, its_bytes bigint, hide boolean,
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
-- Ends an upload without a photo, if it has not ended.
CREATE FUNCTION end_upload(its_user bigint, its_id text, its_problem text) RETURNS upload_outcome
    LANGUAGE plpgsql AS $$
DECLARE
    result  upload_outcome := claim_upload(its_user, its_id);
BEGIN
    IF result.outcome = 'open' THEN
        UPDATE uploads u SET ended_at = clock_timestamp(), problem = its_problem
            WHERE u.user_id = its_user AND u.id = its_id;
        result.outcome := 'problem';
        result.problem := its_problem;
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Ends an upload as a photo that is there. The caller has claimed the upload.
CREATE FUNCTION upload_became(its_user bigint, its_id text, photo bigint, had_it boolean)
    RETURNS upload_outcome LANGUAGE plpgsql AS $$
BEGIN
    UPDATE uploads u SET ended_at = clock_timestamp(), photo_id = photo, duplicate = had_it,
        version = (SELECT s.version FROM users s WHERE s.id = its_user) WHERE u.user_id = its_user AND u.id = its_id;
    RETURN claim_upload(its_user, its_id);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says which original the file of an open upload will be stored as, so that nobody removes it, and how long it is. It
-- ends the upload if the person has a photo of that original.
CREATE FUNCTION reserve_upload(its_user bigint, its_id text, its_image text, its_bytes bigint)
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
        FOR KEY SHARE; -- one that is being deleted is not had
    IF FOUND THEN
        RETURN upload_became(its_user, its_id, had, true);
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Makes the photo of an open upload whose original is stored. "conflict": another original is reserved for it by now.
CREATE FUNCTION finish_upload(its_user bigint, its_id text, its_image text, its_bytes bigint, its_width integer,
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

-- +goose StatementBegin
-- Takes a picture whose derivatives are not made, for a minute: a given one that nobody has taken before, or, without
-- one, the one that is due first. NULL: there is none.
CREATE FUNCTION take_picture(its_image text, OUT image text, OUT times integer) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE unmade_pictures m SET tries = m.tries + 1, due_at = clock_timestamp() + interval '1 minute'
        WHERE m.image_id = coalesce(its_image, (SELECT d.image_id FROM unmade_pictures d
                WHERE d.due_at <= clock_timestamp() ORDER BY d.due_at LIMIT 1 FOR UPDATE SKIP LOCKED))
            AND (its_image IS NULL OR m.tries = 0)
        RETURNING m.image_id, m.tries INTO image, times;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Notes that the derivatives of a picture are made, and what decoding has shown. Photos that show it follow (002).
CREATE FUNCTION picture_made(its_image text, its_width integer, its_height integer, its_color integer) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    UPDATE images i SET width = its_width, height = its_height, color = its_color
        WHERE i.id = its_image AND (i.width, i.height, i.color) <> (its_width, its_height, its_color);
    DELETE FROM unmade_pictures m WHERE m.image_id = its_image;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Removes the photos of a picture that cannot be decoded. Each row is one of them: its owner, its upload (NULL: there
-- is none any more), and what the removal has raised.
CREATE FUNCTION picture_refused(its_image text, its_problem text)
    RETURNS TABLE (owner bigint, upload text, photo bigint, hidden boolean, scope text, version bigint)
    LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    removed photos[];
    p       photos;
BEGIN
    PERFORM FROM images i WHERE i.id = its_image FOR UPDATE; -- nobody adds a photo of it
    removed := ARRAY(SELECT q FROM photos q WHERE q.image_id = its_image ORDER BY q.id FOR UPDATE);
    DELETE FROM photos q WHERE q.image_id = its_image;
    DELETE FROM unmade_pictures m WHERE m.image_id = its_image;
    FOREACH p IN ARRAY removed LOOP
        owner := p.user_id;
        photo := p.id;
        hidden := p.private;
        SELECT 'user.' || u.name, u.version INTO scope, version FROM users u WHERE u.id = p.user_id;
        upload := NULL;
        FOR upload IN UPDATE uploads o SET photo_id = NULL, problem = its_problem WHERE o.photo_id = p.id
                RETURNING o.id LOOP
            RETURN NEXT;
        END LOOP;
        IF upload IS NULL THEN
            RETURN NEXT;
        END IF;
    END LOOP;
    DELETE FROM images i WHERE i.id = its_image; -- so that a later upload of the same bytes is decoded, too
END $$;
-- +goose StatementEnd
