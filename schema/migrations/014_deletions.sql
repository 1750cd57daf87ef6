-- +goose Up

-- People delete their accounts. One action hides everything of theirs at once, whatever its size: gone_at is set, and
-- pages read shown_users. Then the renderer that relays deletes their rows in steps, since 8,000 photos in one
-- transaction took 1.5 s, and held the locks for as long. What is interrupted goes on with the next step.
ALTER TABLE users ADD COLUMN gone_at timestamptz; -- from then on no page shows the user or anything of theirs

-- The users that pages show. Queries of pages read them here.
CREATE VIEW shown_users AS
    SELECT id, version, created_at, photo_count, name, display_name, bio FROM users WHERE gone_at IS NULL;

-- +goose StatementBegin
-- As in 003, but a user who is gone has a last version, that of the tombstone, whatever becomes of their rows.
CREATE OR REPLACE FUNCTION touch_owner(owner bigint, more_photos bigint, takes_away boolean) RETURNS bigint
    LANGUAGE plpgsql AS $$
DECLARE
    owner_name text;
    raised     bigint;
BEGIN
    UPDATE users SET version = nextval('versions'), photo_count = photo_count + more_photos
        WHERE id = owner AND gone_at IS NULL RETURNING name, version INTO owner_name, raised;
    IF owner_name IS NULL THEN
        RETURN nextval('versions');
    END IF;
    INSERT INTO outbox (scope, version, gone) VALUES ('user.' || owner_name, raised, takes_away);
    RETURN raised;
END $$;
-- +goose StatementEnd

-- What is left of a person who has deleted their account: the receipt. Nothing here is on a shared page.
CREATE TABLE deletions (
    user_id        bigint      PRIMARY KEY,
    version        bigint      NOT NULL, -- of the user's scope, from which on everything of theirs is gone
    deleted_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows_gone_at   timestamptz, -- when the last row was deleted
    revoked_at     timestamptz, -- when the bucket of sessions said that theirs count no more
    asked_at       timestamptz, -- when the edges were last asked since when they show nothing of the person
    edges_know_at  timestamptz, -- when all of them had said so
    photos         integer     NOT NULL DEFAULT 0, -- deleted so far, and likewise the next three
    albums         integer     NOT NULL DEFAULT 0,
    tags           integer     NOT NULL DEFAULT 0, -- counted once for each photo that had one
    files          integer     NOT NULL DEFAULT 0, -- different originals
    codes          integer     NOT NULL, -- recovery codes
    passkeys       integer     NOT NULL,
    emails         integer     NOT NULL, -- 0 or 1
    sessions       integer     NOT NULL, -- as the form has shown them
    tokens         integer     NOT NULL, -- likewise
    files_removed  integer     NOT NULL DEFAULT 0,
    files_kept     integer     NOT NULL DEFAULT 0, -- photos of others show them
    receipt        bytea       NOT NULL UNIQUE CHECK (octet_length(receipt) = 32), -- SHA-256 of what its address has
    name           text        NOT NULL,
    photo_ids      bigint[]    NOT NULL, -- the first 1,000
    album_ids      bigint[]    NOT NULL  -- likewise
);
CREATE INDEX deletions_unfinished ON deletions (user_id) WHERE rows_gone_at IS NULL;
CREATE INDEX deletions_finished ON deletions (rows_gone_at);
CREATE INDEX deletions_unknown ON deletions (asked_at NULLS FIRST, user_id) WHERE edges_know_at IS NULL;

-- The edges that there are, and when each has said that it shows nothing of the person any more.
CREATE TABLE deletion_edges (
    user_id     bigint      NOT NULL REFERENCES deletions (user_id) ON DELETE CASCADE,
    learned_at  timestamptz, -- NULL: not yet
    edge        text        NOT NULL,
    PRIMARY KEY (user_id, edge)
);

-- Names that nobody may take for 90 days after their account was deleted, so that nobody is taken for who had it.
CREATE TABLE kept_names (
    kept_until  timestamptz NOT NULL DEFAULT clock_timestamp() + interval '90 days',
    name        text COLLATE "C" PRIMARY KEY
);
CREATE INDEX kept_names_until ON kept_names (kept_until);

-- Originals of deleted photos, whose files the renderer that relays removes unless another photo shows them. First it
-- deletes the row in images, then, with the row here locked, the files, if there is still no row in images. Who stores
-- an original names it in an open upload (019) before the file, and locks the rows here.
CREATE TABLE unused_images (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- a new one puts it behind the others
    user_id  bigint  NOT NULL, -- who had the photo
    counts   boolean NOT NULL, -- among the files of a deletion
    image_id text COLLATE "C" NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX unused_images_counted ON unused_images (user_id, image_id) WHERE counts;

-- +goose StatementBegin
-- Counts an original of a user who is gone once, in however many steps its photos are deleted: no entry of theirs is
-- taken before the last row is gone.
CREATE FUNCTION photos_unused() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    WITH entries AS (
        INSERT INTO unused_images (user_id, image_id, counts)
            SELECT o.user_id, o.image_id, EXISTS (SELECT FROM deletions d WHERE d.user_id = o.user_id)
            FROM (SELECT DISTINCT user_id, image_id FROM old_rows) AS o ORDER BY o.user_id, o.image_id
            ON CONFLICT (user_id, image_id) WHERE counts DO NOTHING
            RETURNING user_id, counts
    )
    UPDATE deletions d SET files = d.files + e.files
        FROM (SELECT user_id, count(*) AS files FROM entries WHERE counts GROUP BY user_id) AS e
        WHERE d.user_id = e.user_id;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER photos_unused_delete AFTER DELETE ON photos REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION photos_unused();

-- Sessions that count no more: those of a user that began with a password that was set before a time. The renderer that
-- relays writes that to the bucket of sessions (wire.Revocation), and then deletes the row.
CREATE TABLE revocations (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint      NOT NULL,
    password_at  timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);

-- +goose StatementBegin
-- The time of a password that replaces one of a given time. It is later even if the clock was set back, because it tells
-- which sessions began with the earlier password.
CREATE FUNCTION later_password(earlier timestamptz) RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
    SELECT greatest(clock_timestamp(), earlier + interval '1 microsecond')
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- An account whose password is set, by whatever program, or that is closed or opened again, begins anew: the sessions
-- of before stay ended.
CREATE FUNCTION account_begins_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.password_at := later_password(OLD.password_at);
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER accounts_begin_anew BEFORE UPDATE ON accounts FOR EACH ROW
    WHEN (NEW.password <> OLD.password OR NEW.password_at <> OLD.password_at
        OR NEW.disabled_at IS DISTINCT FROM OLD.disabled_at)
    EXECUTE FUNCTION account_begins_anew();

-- +goose StatementBegin
CREATE FUNCTION account_revokes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO revocations (user_id, password_at) VALUES (OLD.user_id,
        CASE WHEN TG_OP = 'UPDATE' THEN NEW.password_at ELSE later_password(OLD.password_at) END);
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER accounts_revoke_update AFTER UPDATE ON accounts FOR EACH ROW
    WHEN (NEW.password_at <> OLD.password_at) EXECUTE FUNCTION account_revokes();
CREATE TRIGGER accounts_revoke_delete AFTER DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION account_revokes();

-- The functions below follow the rules of 006.

-- +goose StatementBegin
-- As in 013, and a name that is kept is taken.
CREATE OR REPLACE FUNCTION sign_up(key text, request bytea, new_name text, new_password text, codes bytea[])
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    new_id  bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    INSERT INTO users (name, display_name) VALUES (new_name, new_name) ON CONFLICT (name) DO NOTHING
        RETURNING id INTO new_id;
    -- The row of a name that is deleted at the same time has been waited for: this statement sees what is kept then.
    IF NOT FOUND OR EXISTS (SELECT FROM kept_names k WHERE k.name = new_name AND k.kept_until > clock_timestamp()) THEN
        DELETE FROM users u WHERE u.id = new_id;
        result.outcome := 'taken';
        RETURN result;
    END IF;
    INSERT INTO accounts (user_id, password) VALUES (new_id, new_password);
    INSERT INTO recovery_codes (user_id, code) SELECT new_id, c FROM unnest(codes) AS c;
    result := user_version(new_id);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- What a person has, as the form says before the account is deleted. Of photos and albums it counts most, and tags and
-- files of those photos alone, so that it does the same little for everybody. tags counts each once for each photo.
CREATE FUNCTION holdings(its_user bigint, most integer, OUT photos bigint, OUT albums bigint, OUT tags bigint,
    OUT files bigint, OUT codes bigint, OUT passkeys bigint, OUT emails bigint)
    LANGUAGE plpgsql STABLE SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
    AS $$
DECLARE
    ids bigint[] := ARRAY(SELECT p.id FROM photos p WHERE p.user_id = its_user ORDER BY p.private, p.id LIMIT most);
BEGIN
    photos := cardinality(ids);
    SELECT count(DISTINCT p.image_id) INTO files FROM photos p WHERE p.id = ANY (ids);
    SELECT count(*) INTO tags FROM photo_tags t WHERE t.photo_id = ANY (ids);
    SELECT count(*) INTO albums FROM (SELECT FROM albums a WHERE a.user_id = its_user LIMIT most) AS counted;
    SELECT count(*) INTO codes FROM recovery_codes c WHERE c.user_id = its_user;
    SELECT count(*) INTO passkeys FROM passkeys k WHERE k.user_id = its_user; -- of 015
    SELECT count(a.email) INTO emails FROM accounts a WHERE a.user_id = its_user;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes an account and hides the person with everything of theirs; "changed" if the password is no longer the one
-- that the caller has checked, or the account is closed. delete_rows does the rest.
CREATE FUNCTION delete_account(key text, request bytea, its_user bigint, checked_password text, its_receipt bytea,
    its_sessions integer, its_tokens integer) RETURNS action_outcome LANGUAGE plpgsql AS $$
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
    INSERT INTO deletions (user_id, version, codes, passkeys, emails, sessions, tokens, receipt, name, photo_ids,
            album_ids)
        SELECT its_user, raised, h.codes, h.passkeys, h.emails, its_sessions, its_tokens, its_receipt, its_name,
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
-- Deletes at most so many photos or albums of a user who is gone, counts them in the receipt, and returns how many. After
-- the last ones it deletes the user, and returns 0.
CREATE FUNCTION delete_rows(its_user bigint, most integer) RETURNS integer LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off AS $$
DECLARE
    ids  bigint[];
    used integer;
BEGIN
    ids := ARRAY(SELECT p.id FROM photos p WHERE p.user_id = its_user ORDER BY p.private, p.id LIMIT most FOR UPDATE);
    IF cardinality(ids) > 0 THEN
        SELECT count(*) INTO used FROM photo_tags t WHERE t.photo_id = ANY (ids);
        DELETE FROM photos WHERE id = ANY (ids);
        UPDATE deletions d SET photos = d.photos + cardinality(ids), tags = d.tags + used WHERE d.user_id = its_user;
        RETURN cardinality(ids);
    END IF;
    ids := ARRAY(SELECT a.id FROM albums a WHERE a.user_id = its_user ORDER BY a.id LIMIT most FOR UPDATE);
    IF cardinality(ids) > 0 THEN
        DELETE FROM albums WHERE id = ANY (ids);
        UPDATE deletions d SET albums = d.albums + cardinality(ids) WHERE d.user_id = its_user;
        RETURN cardinality(ids);
    END IF;
    DELETE FROM users u WHERE u.id = its_user AND u.gone_at IS NOT NULL;
    UPDATE deletions d SET rows_gone_at = clock_timestamp() WHERE d.user_id = its_user AND d.rows_gone_at IS NULL;
    RETURN 0;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Replaces the recovery codes of a user; "changed" as above.
CREATE FUNCTION set_codes(key text, request bytea, its_user bigint, checked_password text, codes bytea[])
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
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
    DELETE FROM recovery_codes c WHERE c.user_id = its_user;
    INSERT INTO recovery_codes (user_id, code) SELECT its_user, c FROM unnest(codes) AS c;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
