-- +goose Up

-- What others may do with a photo. "reserved" is all rights reserved, "cc0" CC0 1.0, and the others are the licences of
-- Creative Commons 4.0 of that name. Whether others may download the original is another matter: an owner may allow
-- either without the other. Reading all photos to check the constraint would keep everybody from them, and those that
-- are there have the default.
ALTER TABLE photos
    ADD COLUMN licence text COLLATE "C" NOT NULL DEFAULT 'reserved',
    ADD COLUMN downloadable boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT photos_licence
        CHECK (licence IN ('reserved', 'by', 'by-sa', 'by-nd', 'by-nc', 'by-nc-sa', 'by-nc-nd', 'cc0')) NOT VALID;

-- What new photos of a person get.
ALTER TABLE accounts
    ADD COLUMN licence text COLLATE "C" NOT NULL DEFAULT 'reserved'
        CHECK (licence IN ('reserved', 'by', 'by-sa', 'by-nd', 'by-nc', 'by-nc-sa', 'by-nc-nd', 'cc0')),
    ADD COLUMN downloadable boolean NOT NULL DEFAULT false;

-- A new photo has what its row says; NULL, the default, is what its owner gives new photos.
ALTER TABLE photos ALTER COLUMN licence DROP DEFAULT, ALTER COLUMN downloadable DROP DEFAULT;

-- +goose StatementBegin
CREATE FUNCTION photo_takes_rights() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    usual record;
BEGIN
    SELECT a.licence, a.downloadable INTO usual FROM accounts a WHERE a.user_id = NEW.user_id;
    NEW.licence := coalesce(NEW.licence, usual.licence, 'reserved');
    NEW.downloadable := coalesce(NEW.downloadable, usual.downloadable, false);
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_rights BEFORE INSERT ON photos FOR EACH ROW
    WHEN (NEW.licence IS NULL OR NEW.downloadable IS NULL) EXECUTE FUNCTION photo_takes_rights();

-- The functions below follow the rules of 006 and 018.

-- +goose StatementBegin
-- Sets the licence of photos of a user's own, and whether others may download them; NULL leaves it as it is. Photos
-- that are none of theirs, or in the bin, are left out; "not found": all are.
CREATE FUNCTION change_own_rights(key text, request bytea, its_user bigint, ids bigint[], new_licence text,
    new_downloadable boolean) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    mine    bigint[];
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    mine := lock_own(its_user, ids, false);
    IF mine = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    UPDATE photos p SET licence = coalesce(new_licence, p.licence),
            downloadable = coalesce(new_downloadable, p.downloadable)
        WHERE p.id = ANY (mine) AND (p.licence, p.downloadable)
            IS DISTINCT FROM (coalesce(new_licence, p.licence), coalesce(new_downloadable, p.downloadable));
    result := own_versions(its_user, '{}', '{}');
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Sets the rights of a photo for edit_own_photo, which the caller calls in the same statement with the key that this
-- returns: so the photo is never shown to more people with rights that it is to lose. NULL leaves a right as it is. A
-- repetition changes nothing; nor does it for a photo that is not theirs, of which edit_own_photo says so.
CREATE FUNCTION rights_of_edit(key text, request bytea, its_user bigint, its_photo bigint, new_licence text,
    new_downloadable boolean) RETURNS text LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF (new_licence IS NOT NULL OR new_downloadable IS NOT NULL) AND (claim_key(key, request)).outcome IS NULL
        AND lock_own(its_user, ARRAY[its_photo], false) <> '{}'
    THEN
        UPDATE photos p SET licence = coalesce(new_licence, p.licence),
                downloadable = coalesce(new_downloadable, p.downloadable)
            WHERE p.id = its_photo AND (p.licence, p.downloadable)
                IS DISTINCT FROM (coalesce(new_licence, p.licence), coalesce(new_downloadable, p.downloadable));
    END IF;
    RETURN key;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Sets what new photos of a user get; NULL leaves it as it is.
CREATE FUNCTION set_default_rights(key text, request bytea, its_user bigint, new_licence text,
    new_downloadable boolean) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE accounts a SET licence = coalesce(new_licence, a.licence),
            downloadable = coalesce(new_downloadable, a.downloadable)
        WHERE a.user_id = its_user;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- What zip files and their contents say of originals, read from the file itself. NULL: not read yet.
ALTER TABLE images
    ADD COLUMN crc32 bigint, -- IEEE, as zip has it
    ADD COLUMN checked_bytes bigint, -- the length
    ADD COLUMN sha256 bytea,
    ADD COLUMN extension text COLLATE "C"; -- how the names of such files end, such as ".jpg"

-- Zip files that people have asked for: of an album, or of everything. What is in one does not change once it is ready,
-- so a download goes on after a break. Its bytes are stored nowhere: parts tell which originals they are made of.
CREATE TABLE takeouts (
    user_id   bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    album_id  bigint, -- NULL: everything
    made_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at    timestamptz NOT NULL DEFAULT clock_timestamp(), -- when somebody is to prepare it, if it is not ready
    ready_at  timestamptz,
    photos    integer     NOT NULL DEFAULT 0,
    bytes     bigint      NOT NULL DEFAULT 0, -- of the zip file
    id        text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[a-z2-7]{26}$'),
    title     text        NOT NULL -- of the album; '': everything
);
CREATE INDEX takeouts_of_user ON takeouts (user_id, made_at);
CREATE INDEX takeouts_age ON takeouts (made_at);
CREATE INDEX takeouts_due ON takeouts (due_at) WHERE ready_at IS NULL;

-- Of kind "plan" the files of a zip file, 500 a part, and at -1 the whole; of kind "json" its photos.json, 512 KiB a
-- part.
CREATE TABLE takeout_parts (
    nr          integer NOT NULL,
    takeout_id  text COLLATE "C" NOT NULL REFERENCES takeouts (id) ON DELETE CASCADE,
    kind        text COLLATE "C" NOT NULL CHECK (kind IN ('plan', 'json')),
    data        bytea   NOT NULL,
    PRIMARY KEY (takeout_id, kind, nr)
);

-- +goose StatementBegin
-- Begins a zip file of an album of a user's own, or of everything (NULL). Of those that there are it removes all but
-- the newest. "not found": there is no such album.
CREATE FUNCTION begin_takeout(key text, request bytea, its_user bigint, its_id text, its_album bigint, most integer)
    RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result     action_outcome := claim_key(key, request);
    its_title  text := '';
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    PERFORM FROM accounts a WHERE a.user_id = its_user AND a.disabled_at IS NULL FOR UPDATE;
    IF FOUND AND its_album IS NOT NULL THEN
        SELECT a.title INTO its_title FROM albums a WHERE a.id = its_album AND a.user_id = its_user;
    END IF;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    DELETE FROM takeouts t WHERE t.id IN (SELECT o.id FROM takeouts o WHERE o.user_id = its_user
        ORDER BY o.made_at DESC, o.id OFFSET most - 1);
    INSERT INTO takeouts (user_id, id, album_id, title) VALUES (its_user, its_id, its_album, its_title)
        ON CONFLICT (id) DO NOTHING;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
