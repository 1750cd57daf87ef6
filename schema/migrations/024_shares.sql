-- +goose Up

-- Links by which whoever has one sees a photo or an album, also a private one, see renderer/sharelink. The token of a
-- link follows from the site's key and the nonce; its SHA-256 finds the row. What is revoked is deleted.
CREATE TABLE shares (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    photo_id    bigint,
    album_id    bigint,
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz, -- NULL: never
    seen_at     timestamptz, -- when it was used last, to the hour; NULL: never
    nonce       bytea       NOT NULL CHECK (octet_length(nonce) = 16),
    hash        bytea       NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    name        text        NOT NULL CHECK (char_length(name) <= 60), -- what its owner calls it; may be empty
    password    text, -- a PHC string; NULL: it has none
    CHECK (num_nonnulls(photo_id, album_id) = 1),
    FOREIGN KEY (photo_id, user_id) REFERENCES photos (id, user_id) ON DELETE CASCADE,
    FOREIGN KEY (album_id, user_id) REFERENCES albums (id, user_id) ON DELETE CASCADE
);
CREATE INDEX shares_user ON shares (user_id, id); -- the list of one's own
CREATE INDEX shares_photo ON shares (photo_id, user_id, id);
CREATE INDEX shares_album ON shares (album_id, user_id, id);

-- Those that show something now, with their owners.
CREATE VIEW open_shares AS
    SELECT s.*, u.name AS owner, u.display_name AS owner_display FROM shares s JOIN shown_users u ON u.id = s.user_id
        WHERE s.expires_at IS NULL OR s.expires_at > clock_timestamp();

-- The functions below follow the rules of 006.

-- +goose StatementBegin
-- Makes a link to a photo or an album of a user's own; one of the two is NULL. "not found": it is none of theirs, or in
-- the bin; "too many": they have as many links as they may.
CREATE FUNCTION make_share(key text, request bytea, its_user bigint, its_photo bigint, its_album bigint, its_name text,
    its_password text, days integer, its_nonce bytea, its_hash bytea, most integer)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    IF its_photo IS NOT NULL AND lock_own(its_user, ARRAY[its_photo], false) = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF its_album IS NOT NULL THEN
        PERFORM FROM albums a WHERE a.id = its_album AND a.user_id = its_user FOR KEY SHARE;
        IF NOT FOUND THEN
            result.outcome := 'not found';
            RETURN result;
        END IF;
    END IF;
    IF (SELECT count(*) FROM (SELECT FROM shares s WHERE s.user_id = its_user LIMIT most) AS counted) = most THEN
        result.outcome := 'too many';
        RETURN result;
    END IF;
    INSERT INTO shares (user_id, photo_id, album_id, name, password, expires_at, nonce, hash)
        VALUES (its_user, its_photo, its_album, its_name, its_password, clock_timestamp() + make_interval(days => days),
            its_nonce, its_hash);
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Revokes a link of a user's own. From the end of this transaction on nobody sees anything by it.
CREATE FUNCTION end_share(key text, request bytea, its_user bigint, its_id bigint)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    DELETE FROM shares s WHERE s.id = its_id AND s.user_id = its_user;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
