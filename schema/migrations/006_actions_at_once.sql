-- +goose Up
-- The actions, each in one statement and so in one transaction of its own. With the statements sent one by one the owner's row was locked over
-- four round trips, and everybody who changed something of the same owner's stood behind that.
--
-- Rules of the functions below:
--   They are VOLATILE: each of their statements has its own snapshot, so that whoever has waited for a lock sees what the other one did.
--   They lock a key before everything else in the order of locks (003). The lock is an advisory one: of two that come with one key at
--   the same time, one waits for the other and finds what that has done. Two keys with one hash wait for each other for nothing.
--   What is not done leaves nothing behind. The key's row is written last, with its result; should somebody have written it since,
--   a renderer of the release before, which does not know of the lock, then all of this is rolled back and may be tried again.

-- What became of an action: "done", now or before, with the scopes that changed, one in each place of the three arrays; "conflict", the key
-- was used for another request; or "not found", there is no such photo.
CREATE TYPE action_outcome AS (outcome text, scopes text[], versions bigint[], gone boolean[]);

-- +goose StatementBegin
-- Makes a key the caller's and returns NULLs, or what became of it before.
CREATE FUNCTION claim_key(wanted text, its_request bytea) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    known   record;
    result  action_outcome;
BEGIN
    PERFORM pg_advisory_xact_lock(0, hashtext(wanted));
    SELECT k.request, k.scopes, k.versions, k.gone INTO known FROM action_keys k WHERE k.key = wanted;
    IF known.request <> its_request THEN
        result.outcome := 'conflict';
    ELSIF FOUND THEN
        result := ROW ('done'::text, known.scopes, known.versions, known.gone);
    END IF;
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Remembers under a claimed key what was changed.
CREATE FUNCTION remember_key(claimed text, its_request bytea, done action_outcome) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO action_keys (key, request, scopes, versions, gone) VALUES (claimed, its_request, done.scopes, done.versions, done.gone)
        ON CONFLICT (key) DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the key % was used meanwhile', claimed USING ERRCODE = 'serialization_failure';
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Says of a photo that the caller has changed or deleted which versions its owner has, and its absence on a page that says "not found".
-- The triggers have run and hold the owner's row, so that the version is exactly that of this change; if nothing was raised, it is the one
-- there is.
CREATE FUNCTION photo_versions(owner_id bigint, photo text, OUT owner text, OUT version bigint, OUT absence bigint) LANGUAGE plpgsql AS $$
BEGIN
    SELECT 'user.' || u.name, u.version, greatest(e.version, t.version) INTO owner, version, absence
        FROM epoch e CROSS JOIN users u LEFT JOIN tombstones t ON t.scope = photo WHERE u.id = owner_id;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Changes what is written about a photo; NULL leaves it as it is.
CREATE FUNCTION edit_photo(key text, request bytea, photo_id bigint, new_title text, new_description text) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result    action_outcome := claim_key(key, request);
    owner_id  bigint;
    now       record;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE photos p SET title = coalesce(new_title, p.title), description = coalesce(new_description, p.description) WHERE p.id = photo_id
        RETURNING p.user_id INTO owner_id;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    SELECT 'user.' || u.name AS owner, u.version INTO now FROM users u WHERE u.id = owner_id; -- as in photo_versions
    result := ROW ('done'::text, ARRAY[now.owner], ARRAY[now.version], ARRAY[false]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Deletes a photo. One statement: what falls with it is locked after it and before its owner, as the order of locks wants it.
CREATE FUNCTION delete_photo(key text, request bytea, photo_id bigint) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result   action_outcome := claim_key(key, request);
    deleted  record;
    now      record;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    DELETE FROM photos p WHERE p.id = photo_id RETURNING p.user_id, p.private, 'photo.' || p.id AS scope INTO deleted;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    SELECT * INTO now FROM photo_versions(deleted.user_id, deleted.scope);
    result := ROW ('done'::text, ARRAY[now.owner, deleted.scope], ARRAY[now.version, now.absence], ARRAY[NOT deleted.private, true]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Hides a photo from everybody or shows it to everybody.
CREATE FUNCTION set_photo_private(key text, request bytea, photo_id bigint, hide boolean) RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    before  record;
    now     record;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT p.user_id, p.private, 'photo.' || p.id AS scope INTO before FROM photos p WHERE p.id = photo_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    IF hide <> before.private THEN
        UPDATE photos p SET private = hide WHERE p.id = photo_id;
    END IF;
    SELECT * INTO now FROM photo_versions(before.user_id, before.scope);
    IF NOT hide THEN
        now.absence := now.version; -- what became public has its owner's version, and no "not found" of before is as new as that
    END IF;
    result := ROW ('done'::text, ARRAY[now.owner, before.scope], ARRAY[now.version, now.absence], ARRAY[hide AND NOT before.private, hide]);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- A row that comes with its result needs no look at its end, and none is added to in place once the release before is gone.
DROP TRIGGER action_keys_result ON action_keys;
CREATE CONSTRAINT TRIGGER action_keys_result AFTER INSERT ON action_keys DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.scopes = '{}') EXECUTE FUNCTION action_has_result();
ALTER TABLE action_keys RESET (fillfactor);

-- +goose StatementBegin
-- As in 003, but its plan is kept: a function in SQL is planned anew at each call from a trigger.
CREATE OR REPLACE FUNCTION recount_albums(ids bigint[]) RETURNS void LANGUAGE plpgsql
    SET jit = off SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    INSERT INTO album_counts AS c (album_id, photo_count)
        SELECT a.id, (SELECT count(*) FROM album_photos ap JOIN photos p ON p.id = ap.photo_id AND NOT p.private WHERE ap.album_id = a.id)
        FROM albums a WHERE a.id = ANY (ids) ORDER BY a.id
        ON CONFLICT (album_id) DO UPDATE SET photo_count = excluded.photo_count WHERE c.photo_count <> excluded.photo_count;
END $$;
-- +goose StatementEnd
