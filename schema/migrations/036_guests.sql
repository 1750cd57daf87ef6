-- +goose Up

-- A link to an album may let whoever has it add photos. They belong to the album's owner, are private, and are in the
-- album from the commit on that makes them, so whoever has a link to it sees them.
ALTER TABLE shares ADD COLUMN adds boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT adds OR album_id IS NOT NULL);

-- As in 024, and whether one may add photos.
CREATE OR REPLACE VIEW open_shares AS
    SELECT s.id, s.user_id, s.photo_id, s.album_id, s.created_at, s.expires_at, s.seen_at, s.nonce, s.hash, s.name,
        s.password, u.name AS owner, u.display_name AS owner_display, s.adds
    FROM shares s JOIN shown_users u ON u.id = s.user_id
        WHERE s.expires_at IS NULL OR s.expires_at > clock_timestamp();

ALTER TABLE uploads
    ADD COLUMN share_id bigint, -- the link by which a guest uploads; NULL: its owner does
    ADD COLUMN guest text; -- what the guest is called; may be empty
CREATE INDEX uploads_share ON uploads (share_id) WHERE share_id IS NOT NULL;

-- Photos that guests have added. The link may have been revoked since.
CREATE TABLE guest_photos (
    photo_id  bigint PRIMARY KEY,
    user_id   bigint NOT NULL,
    share_id  bigint NOT NULL,
    name      text   NOT NULL CHECK (char_length(name) <= 60), -- what the guest is called; may be empty
    FOREIGN KEY (photo_id, user_id) REFERENCES photos (id, user_id) ON DELETE CASCADE
);
CREATE INDEX guest_photos_share ON guest_photos (share_id, photo_id);

-- The functions below follow the rules of 006. Locks are taken in this order: accounts, a user's albums (lock_albums),
-- uploads, images, photos, albums, users, quota_use. Nothing here locks shares: what changes a link locks its uploads
-- afterwards.

-- +goose StatementBegin
-- Ends the uploads by a link that is revoked, or lets nobody add photos any more. One that begins meanwhile does not
-- see this, and finds that there is no such link when it becomes a photo.
CREATE FUNCTION share_ends_uploads() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    UPDATE uploads u SET ended_at = clock_timestamp(), problem = 'No photos can be added by this link any more.'
        WHERE u.share_id = OLD.id AND u.ended_at IS NULL;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER shares_end_uploads_delete AFTER DELETE ON shares FOR EACH ROW
    WHEN (OLD.adds) EXECUTE FUNCTION share_ends_uploads();
CREATE TRIGGER shares_end_uploads_update AFTER UPDATE OF adds ON shares FOR EACH ROW
    WHEN (OLD.adds AND NOT NEW.adds) EXECUTE FUNCTION share_ends_uploads();

-- +goose StatementBegin
-- As make_share of 027, and with lets_add whoever has a link to an album may add photos.
CREATE FUNCTION make_share(key text, request bytea, its_user bigint, its_photo bigint, its_album bigint, its_name text,
    its_password text, days integer, its_nonce bytea, its_hash bytea, most integer, lets_add boolean)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := make_share(key, request, its_user, its_photo, its_album, its_name, its_password, days,
        its_nonce, its_hash, most);
BEGIN
    IF lets_add AND result.outcome = 'done' THEN -- of a repetition there is no link with this hash
        UPDATE shares s SET adds = true WHERE s.hash = its_hash AND s.album_id IS NOT NULL;
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says whether people may add photos by a link of a user's own to an album. From the end of this transaction on nobody
-- does by one that does not let them.
CREATE FUNCTION set_share_adds(key text, request bytea, its_user bigint, its_id bigint, lets_add boolean)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE shares s SET adds = lets_add WHERE s.id = its_id AND s.user_id = its_user AND s.album_id IS NOT NULL;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- The link by which photos may be added now; NULL: there is none. Nothing is added to what a disabled account has.
CREATE FUNCTION adding_share(its_hash bytea, OUT id bigint, OUT album bigint) LANGUAGE plpgsql STABLE
    SET enable_seqscan = off AS $$
BEGIN
    SELECT s.id, s.album_id INTO id, album FROM open_shares s WHERE s.hash = its_hash AND s.adds
        AND NOT EXISTS (SELECT FROM accounts a WHERE a.user_id = s.user_id AND a.disabled_at IS NOT NULL);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Begins an upload by a guest, as create_upload does by the owner of the album. Besides its outcomes: "full", the album
-- has most_in_album photos; "too many today" and "too much today": of uploads by the link that began in the last day
-- there are so many, or with what has become nothing left out they have so many bytes.
CREATE FUNCTION create_guest_upload(its_user bigint, its_id text, its_name text, its_bytes bigint, longest bigint,
    most_bytes bigint, most_photos bigint, its_hash bytea, its_guest text, most_in_album integer, most_today integer,
    most_bytes_today bigint) RETURNS upload_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  upload_outcome;
    link    record;
    today   record;
    begun   record;
BEGIN
    result := claim_upload(its_user, its_id); -- before quota_use
    SELECT * INTO link FROM adding_share(its_hash);
    SELECT u.share_id INTO begun FROM uploads u WHERE u.user_id = its_user AND u.id = its_id;
    IF link.id IS NULL OR FOUND AND begun.share_id IS DISTINCT FROM link.id THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF result.outcome <> 'not found' THEN
        RETURN create_upload(its_user, its_id, its_name, its_bytes, true, longest, most_bytes, most_photos);
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM album_photos m WHERE m.album_id = link.album LIMIT most_in_album) AS c)
            = most_in_album THEN
        result.outcome := 'full';
        RETURN result;
    END IF;
    PERFORM lock_quota(its_user); -- so that two at once count each other
    SELECT count(*) AS files,
            coalesce(sum(coalesce(nullif(u.bytes, 0), longest)) FILTER (WHERE u.problem IS NULL), 0) AS bytes
        INTO today FROM uploads u
        WHERE u.share_id = link.id AND u.created_at > clock_timestamp() - interval '1 day';
    result.outcome := CASE WHEN today.files >= most_today THEN 'too many today'
        WHEN today.bytes + coalesce(nullif(its_bytes, 0), longest) > most_bytes_today THEN 'too much today' END;
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    result := create_upload(its_user, its_id, its_name, its_bytes, true, longest, most_bytes, most_photos);
    IF result.outcome = 'open' THEN
        UPDATE uploads u SET share_id = link.id, guest = its_guest WHERE u.user_id = its_user AND u.id = its_id;
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- A photo that was added by the same link, shows the same original and is in the album. Only such a one is taken for a
-- photo that is added again: what else its owner has, a guest must not learn.
CREATE FUNCTION guest_had(its_share bigint, its_album bigint, its_image text) RETURNS bigint LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
BEGIN
    RETURN (SELECT p.id FROM guest_photos g JOIN photos p ON p.id = g.photo_id AND p.binned_at IS NULL
            JOIN album_photos m ON m.photo_id = p.id AND m.album_id = its_album
        WHERE g.share_id = its_share AND p.image_id = its_image LIMIT 1);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As reserve_upload, for a guest who has the link with a hash. It is never said to be a duplicate.
CREATE FUNCTION reserve_guest_upload(its_user bigint, its_id text, its_image text, its_bytes bigint, its_hash bytea)
    RETURNS upload_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  upload_outcome := claim_upload(its_user, its_id);
    link    record;
BEGIN
    IF result.outcome <> 'open' THEN
        RETURN result;
    END IF;
    SELECT * INTO link FROM adding_share(its_hash);
    IF link.id IS NULL OR NOT EXISTS (SELECT FROM uploads u
            WHERE u.user_id = its_user AND u.id = its_id AND u.share_id = link.id) THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    UPDATE uploads u SET image_id = its_image, bytes = its_bytes WHERE u.user_id = its_user AND u.id = its_id;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As finish_upload, for a guest who has the link with a hash: the photo is private, nobody else may use it, and it goes
-- to the end of the album.
CREATE FUNCTION finish_guest_upload(its_user bigint, its_id text, its_image text, its_bytes bigint, its_width integer,
    its_height integer, its_color integer, its_title text, its_taken_at timestamptz, its_camera text, its_lens text,
    its_aperture real, its_exposure text, its_iso integer, its_focal_mm real, most_bytes bigint, most_photos bigint,
    bytes_problem text, photos_problem text, its_hash bytea) RETURNS upload_outcome
    LANGUAGE plpgsql SET jit = off SET enable_seqscan = off AS $$
DECLARE
    result    upload_outcome;
    link      record;
    its_name  text;
    is_new    boolean;
    used      record;
    excess    text;
    photo     bigint;
    last      bigint;
BEGIN
    PERFORM FROM accounts a WHERE a.user_id = its_user FOR KEY SHARE;
    PERFORM lock_albums(its_user);
    result := claim_upload(its_user, its_id);
    SELECT * INTO link FROM adding_share(its_hash);
    SELECT u.guest INTO its_name FROM uploads u
        WHERE u.user_id = its_user AND u.id = its_id AND u.share_id = link.id;
    IF NOT FOUND OR result.outcome <> 'open' OR result.image IS DISTINCT FROM its_image THEN
        PERFORM original_unused(its_user, its_image);
        IF result.outcome = 'open' THEN
            result.outcome := CASE WHEN its_name IS NULL THEN 'not found' ELSE 'conflict' END;
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
    PERFORM lock_own_album(its_user, link.album);
    PERFORM FROM users u WHERE u.id = its_user FOR NO KEY UPDATE;
    photo := guest_had(link.id, link.album, its_image);
    IF photo IS NOT NULL THEN
        RETURN upload_became(its_user, its_id, photo, false);
    END IF;
    SELECT * INTO used FROM lock_quota(its_user);
    excess := CASE WHEN album_overfull(link.album, '{0}') THEN 'The album has 10,000 photos, and takes no more.'
        WHEN most_photos > 0 AND used.photos >= most_photos THEN photos_problem
        WHEN most_bytes > 0 AND used.bytes + its_bytes > most_bytes THEN bytes_problem END;
    IF excess IS NOT NULL THEN
        DELETE FROM images i WHERE i.id = its_image AND is_new;
        RETURN end_upload(its_user, its_id, excess);
    END IF;
    INSERT INTO photos (user_id, image_id, width, height, color, title, private, licence, downloadable, taken_at,
            camera, lens, aperture, exposure, iso, focal_mm)
        SELECT its_user, i.id, i.width, i.height, i.color, its_title, true, 'reserved', false, its_taken_at, its_camera,
            its_lens, its_aperture, its_exposure, its_iso, its_focal_mm
        FROM images i WHERE i.id = its_image RETURNING id INTO photo;
    INSERT INTO guest_photos (photo_id, user_id, share_id, name) VALUES (photo, its_user, link.id, its_name);
    last := (SELECT max(m.position) FROM album_photos m WHERE m.album_id = link.album);
    IF last > 2000000000 THEN
        PERFORM spread_album(link.album, '{}', NULL);
        last := (SELECT max(m.position) FROM album_photos m WHERE m.album_id = link.album);
    END IF;
    INSERT INTO album_photos (album_id, photo_id, user_id, position)
        VALUES (link.album, photo, its_user, coalesce(last, 1000000) + 1000);
    IF is_new THEN
        INSERT INTO unmade_pictures (image_id) VALUES (its_image)
            ON CONFLICT (image_id) DO UPDATE SET due_at = excluded.due_at, tries = 0;
    END IF;
    RETURN upload_became(its_user, its_id, photo, false);
END $$;
-- +goose StatementEnd
