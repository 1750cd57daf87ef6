-- +goose Up

-- Photos that people delete for good have a receipt, as deleted accounts have: deletions has both. One account has one,
-- a person's photos have one for each time that some were deleted.

ALTER TABLE deletion_edges DROP CONSTRAINT deletion_edges_user_id_fkey, DROP CONSTRAINT deletion_edges_pkey;
ALTER TABLE deletions DROP CONSTRAINT deletions_pkey;
ALTER TABLE deletions
    ADD COLUMN id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ADD COLUMN account     boolean NOT NULL DEFAULT true, -- false: photos alone
    ADD COLUMN seen        timestamptz, -- a bin is emptied of what was put there until then; NULL: no bin is
    ADD COLUMN hidden_at   timestamptz, -- of photos: when the last one was hidden from pages; NULL: none was shown
    ADD COLUMN files_gone_at timestamptz, -- when the last file was removed
    ADD COLUMN shares      integer NOT NULL DEFAULT 0, -- links to what was deleted
    ADD COLUMN freed_files integer NOT NULL DEFAULT 0, -- on the disk: originals, and what was made of them
    ADD COLUMN freed_bytes bigint  NOT NULL DEFAULT 0; -- of these
ALTER TABLE deletions
    ALTER COLUMN account DROP DEFAULT,
    ALTER COLUMN codes SET DEFAULT 0, ALTER COLUMN passkeys SET DEFAULT 0, ALTER COLUMN emails SET DEFAULT 0,
    ALTER COLUMN sessions SET DEFAULT 0, ALTER COLUMN tokens SET DEFAULT 0,
    ALTER COLUMN photo_ids SET DEFAULT '{}', ALTER COLUMN album_ids SET DEFAULT '{}';
CREATE UNIQUE INDEX deletions_account ON deletions (user_id) WHERE account;
CREATE INDEX deletions_photos ON deletions (user_id, id) WHERE NOT account; -- the list of one's own
DROP INDEX deletions_unfinished;
CREATE INDEX deletions_unfinished ON deletions (id) WHERE rows_gone_at IS NULL;
DROP INDEX deletions_unknown;
CREATE INDEX deletions_unknown ON deletions (asked_at NULLS FIRST, id) WHERE edges_know_at IS NULL;

ALTER TABLE deletion_edges ADD COLUMN deletion_id bigint;
UPDATE deletion_edges e SET deletion_id = d.id FROM deletions d WHERE d.user_id = e.user_id;
ALTER TABLE deletion_edges
    DROP COLUMN user_id,
    ADD PRIMARY KEY (deletion_id, edge),
    ADD FOREIGN KEY (deletion_id) REFERENCES deletions (id) ON DELETE CASCADE;

DROP INDEX unused_images_counted;
ALTER TABLE unused_images ADD COLUMN deletion_id bigint; -- among the files of which it counts; NULL: of none
UPDATE unused_images u SET deletion_id = d.id FROM deletions d WHERE u.counts AND d.user_id = u.user_id;
ALTER TABLE unused_images DROP COLUMN counts;
CREATE UNIQUE INDEX unused_images_deletion ON unused_images (deletion_id, image_id) WHERE deletion_id IS NOT NULL;

-- +goose StatementBegin
-- As in 021.
CREATE OR REPLACE FUNCTION original_unused(its_user bigint, its_image text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO unused_images (user_id, image_id, due_at)
        VALUES (its_user, its_image, clock_timestamp() + interval '30 seconds');
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Counts an original of the deletion that remove_photos names once, in however many steps its photos are deleted: no
-- entry that a photo shows is taken before the last row is gone.
CREATE OR REPLACE FUNCTION photos_unused() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    its_deletion  bigint := nullif(current_setting('killr.deletion', true), '')::bigint;
    added         integer;
BEGIN
    INSERT INTO unused_images (user_id, image_id, deletion_id)
        SELECT o.user_id, o.image_id, its_deletion FROM (SELECT DISTINCT user_id, image_id FROM old_rows) AS o
        ORDER BY o.user_id, o.image_id
        ON CONFLICT (deletion_id, image_id) WHERE deletion_id IS NOT NULL DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    UPDATE deletions d SET files = d.files + added WHERE d.id = its_deletion;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Receipts that are finished get no more updates. Of them it is known only that the files were gone by the end.
UPDATE deletions SET files_gone_at = coalesce(edges_know_at, rows_gone_at)
    WHERE rows_gone_at IS NOT NULL AND files_removed + files_kept >= files;

-- +goose StatementBegin
-- Notes when the last file of a deletion is gone, be it before the last row or after it.
CREATE FUNCTION deletion_frees_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.files_gone_at := clock_timestamp();
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER deletions_disk BEFORE UPDATE ON deletions FOR EACH ROW
    WHEN (NEW.files_gone_at IS NULL AND NEW.rows_gone_at IS NOT NULL
        AND NEW.files_removed + NEW.files_kept >= NEW.files)
    EXECUTE FUNCTION deletion_frees_disk();

-- The functions below follow the rules of 006 and 018.

-- +goose StatementBegin
-- Says that the rows of a deletion are gone. Of what nobody was ever shown edges have nothing to learn.
CREATE FUNCTION deletion_rows_gone(its_deletion bigint) RETURNS void LANGUAGE sql AS $$
    UPDATE deletions d SET rows_gone_at = clock_timestamp(),
            edges_know_at = CASE WHEN d.version = 0 THEN clock_timestamp() ELSE d.edges_know_at END
        WHERE d.id = its_deletion AND d.rows_gone_at IS NULL
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes photos that the caller has locked, and counts them in the receipt of a deletion with what goes with them. The
-- receipt of photos has the version from which on no page shows any of them: photos in a bin were hidden before.
CREATE FUNCTION remove_photos(its_deletion bigint, ids bigint[]) RETURNS void LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    more    record;
    hidden  record;
BEGIN
    SELECT (SELECT count(*) FROM photo_tags t WHERE t.photo_id = ANY (ids)) AS tags,
        (SELECT count(*) FROM shares s WHERE s.photo_id = ANY (ids)) AS shares INTO more;
    SELECT max(t.version) AS version, max(t.at) AS at INTO hidden FROM tombstones t
        WHERE t.scope = ANY (ARRAY(SELECT 'photo.' || i FROM unnest(ids) AS i));
    PERFORM set_config('killr.deletion', coalesce(its_deletion::text, ''), true); -- for photos_unused
    DELETE FROM photos p WHERE p.id = ANY (ids);
    PERFORM set_config('killr.deletion', '', true);
    UPDATE deletions d SET photos = d.photos + cardinality(ids), tags = d.tags + more.tags,
            shares = d.shares + more.shares,
            version = CASE WHEN d.account THEN d.version ELSE greatest(d.version, hidden.version) END,
            hidden_at = CASE WHEN NOT d.account THEN greatest(d.hidden_at, hidden.at) END,
            photo_ids = CASE WHEN d.account THEN d.photo_ids ELSE (d.photo_ids || ids)[1:1000] END
        WHERE d.id = its_deletion;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Does one step of emptying a bin: deletes for good at most so many of the photos that were put there until the time
-- that its deletion says, the last ones first. Whoever takes one out before keeps it.
CREATE FUNCTION empty_bin(its_deletion bigint, most integer) RETURNS void LANGUAGE plpgsql
    SET enable_seqscan = off AS $$
DECLARE
    d    record;
    ids  bigint[];
    mine bigint[];
BEGIN
    SELECT e.user_id, e.seen INTO d FROM deletions e WHERE e.id = its_deletion;
    PERFORM lock_albums(d.user_id); -- before photos, as in 032
    ids := ARRAY(SELECT p.id FROM photos p
        WHERE p.user_id = d.user_id AND p.binned_at IS NOT NULL AND p.binned_at <= d.seen
        ORDER BY p.binned_at DESC, p.id DESC LIMIT most);
    mine := lock_own(d.user_id, ids, true);
    mine := ARRAY(SELECT p.id FROM photos p WHERE p.id = ANY (mine) AND p.binned_at <= d.seen); -- now that it is locked
    PERFORM remove_photos(its_deletion, mine);
    IF cardinality(ids) < most THEN
        PERFORM deletion_rows_gone(its_deletion);
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes for good photos of a user's own that are in the bin, or begins to empty the bin, if seen says until when what
-- is there was seen, and writes the receipt, if there is a photo to delete. "not found": none of the photos is theirs,
-- or there is no such user; "conflict" also if the receipt is known and the key is forgotten. Renderers of the release
-- before delete by change_bin, without a receipt.
CREATE FUNCTION remove_own_photos(key text, request bytea, its_user bigint, ids bigint[], its_seen timestamptz,
    most integer, its_receipt bytea) RETURNS action_outcome LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    result        action_outcome := claim_key(key, request);
    mine          bigint[] := '{}';
    its_name      text;
    its_deletion  bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT u.name INTO its_name FROM shown_users u WHERE u.id = its_user;
    PERFORM lock_albums(its_user); -- before photos, as in 032
    IF its_seen IS NULL THEN
        mine := lock_own(its_user, ids, true);
    END IF;
    IF its_name IS NULL OR its_seen IS NULL AND mine = '{}' THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF mine <> '{}' OR EXISTS (SELECT FROM photos p
        WHERE p.user_id = its_user AND p.binned_at IS NOT NULL AND p.binned_at <= its_seen)
    THEN
        INSERT INTO deletions (user_id, account, version, seen, receipt, name)
            VALUES (its_user, false, 0, its_seen, its_receipt, its_name) ON CONFLICT (receipt) DO NOTHING
            RETURNING id INTO its_deletion;
        IF its_deletion IS NULL THEN
            result.outcome := 'conflict';
            RETURN result;
        ELSIF its_seen IS NULL THEN
            PERFORM remove_photos(its_deletion, mine);
            PERFORM deletion_rows_gone(its_deletion);
        ELSE
            PERFORM empty_bin(its_deletion, most);
        END IF;
    END IF;
    result := own_versions(its_user, '{}', '{}');
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- Links are among what a person has.
DROP FUNCTION holdings(bigint, integer);
-- +goose StatementBegin
-- As in 014, and links, most at most.
CREATE FUNCTION holdings(its_user bigint, most integer, OUT photos bigint, OUT albums bigint, OUT tags bigint,
    OUT files bigint, OUT codes bigint, OUT passkeys bigint, OUT emails bigint, OUT shares bigint)
    LANGUAGE plpgsql STABLE SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT p.id FROM photos p WHERE p.user_id = its_user ORDER BY p.private, p.id LIMIT most);
BEGIN
    photos := cardinality(ids);
    SELECT count(DISTINCT p.image_id) INTO files FROM photos p WHERE p.id = ANY (ids);
    SELECT count(*) INTO tags FROM photo_tags t WHERE t.photo_id = ANY (ids);
    SELECT count(*) INTO albums FROM (SELECT FROM albums a WHERE a.user_id = its_user LIMIT most) AS counted;
    SELECT count(*) INTO shares FROM (SELECT FROM shares s WHERE s.user_id = its_user LIMIT most) AS counted;
    SELECT count(*) INTO codes FROM recovery_codes c WHERE c.user_id = its_user;
    SELECT count(*) INTO passkeys FROM passkeys k WHERE k.user_id = its_user;
    SELECT count(a.email) INTO emails FROM accounts a WHERE a.user_id = its_user;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 014, and the receipt counts links, all of which go with the account.
CREATE OR REPLACE FUNCTION delete_account(key text, request bytea, its_user bigint, checked_password text,
    its_receipt bytea, its_sessions integer, its_tokens integer) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result    action_outcome := claim_key(key, request);
    its_name  text;
    raised    bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    PERFORM FROM accounts a
        WHERE a.user_id = its_user AND a.password = checked_password AND a.disabled_at IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        result.outcome := 'changed';
        RETURN result;
    END IF;
    -- Who has the owner's row raises the version. From here on nobody does.
    UPDATE users u SET gone_at = clock_timestamp() WHERE u.id = its_user RETURNING u.name INTO its_name;
    PERFORM retire_name(its_name);
    SELECT t.version INTO raised FROM tombstones t WHERE t.scope = 'user.' || its_name;
    INSERT INTO kept_names AS k (name) VALUES (its_name)
        ON CONFLICT (name) DO UPDATE SET kept_until = excluded.kept_until;
    INSERT INTO deletions (user_id, account, version, codes, passkeys, emails, sessions, tokens, shares, receipt, name,
            photo_ids, album_ids)
        SELECT its_user, true, raised, h.codes, h.passkeys, h.emails, its_sessions, its_tokens,
            (SELECT count(*) FROM shares s WHERE s.user_id = its_user), its_receipt, its_name,
            ARRAY(SELECT p.id FROM photos p WHERE p.user_id = its_user ORDER BY p.private, p.id LIMIT 1000),
            ARRAY(SELECT a.id FROM albums a WHERE a.user_id = its_user ORDER BY a.id LIMIT 1000)
        FROM holdings(its_user, 0) AS h;
    DELETE FROM accounts a WHERE a.user_id = its_user;
    result := ROW ('done'::text, ARRAY['user.' || its_name], ARRAY[raised], ARRAY[true]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- As in 014. The receipts of photos go, too: nobody can see them any more. Of somebody whose account is not deleted
-- nothing is: renderers of before call this for every deletion, also for one of photos.
CREATE OR REPLACE FUNCTION delete_rows(its_user bigint, most integer) RETURNS integer LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off AS $$
DECLARE
    ids           bigint[];
    its_deletion  bigint := (SELECT d.id FROM deletions d WHERE d.user_id = its_user AND d.account);
BEGIN
    IF its_deletion IS NULL OR EXISTS (SELECT FROM users u WHERE u.id = its_user AND u.gone_at IS NULL) THEN
        RETURN 0;
    END IF;
    ids := ARRAY(SELECT p.id FROM photos p WHERE p.user_id = its_user ORDER BY p.private, p.id LIMIT most FOR UPDATE);
    IF cardinality(ids) > 0 THEN
        PERFORM remove_photos(its_deletion, ids);
        RETURN cardinality(ids);
    END IF;
    ids := ARRAY(SELECT a.id FROM albums a WHERE a.user_id = its_user ORDER BY a.id LIMIT most FOR UPDATE);
    IF cardinality(ids) > 0 THEN
        DELETE FROM albums WHERE id = ANY (ids);
        UPDATE deletions d SET albums = d.albums + cardinality(ids) WHERE d.id = its_deletion;
        RETURN cardinality(ids);
    END IF;
    ids := ARRAY(SELECT d.id FROM deletions d WHERE d.user_id = its_user AND NOT d.account ORDER BY d.id LIMIT most
        FOR UPDATE);
    IF cardinality(ids) > 0 THEN
        DELETE FROM deletions d WHERE d.id = ANY (ids);
        RETURN cardinality(ids);
    END IF;
    DELETE FROM users u WHERE u.id = its_user AND u.gone_at IS NOT NULL;
    PERFORM deletion_rows_gone(its_deletion);
    RETURN 0;
END $$;
-- +goose StatementEnd
