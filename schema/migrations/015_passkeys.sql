-- +goose Up

-- A secret that all renderers of the site share. The challenges of passkeys are sealed with it, and the handles by which
-- authenticators know users follow from it: with another key no passkey signs in any more.
ALTER TABLE site ADD COLUMN key bytea NOT NULL CHECK (octet_length(key) = 32)
    DEFAULT sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), 'UTF8'));

-- What signs in instead of a password. Nothing here is on a page for others, so nothing here has a version.
CREATE TABLE passkeys (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint      NOT NULL REFERENCES accounts (user_id) ON DELETE CASCADE,
    credential  bytea       NOT NULL UNIQUE CHECK (octet_length(credential) BETWEEN 1 AND 1023), -- its id
    host        text        NOT NULL CHECK (octet_length(host) BETWEEN 1 AND 253), -- of the site, for which it counts
    label       text        NOT NULL CHECK (char_length(label) BETWEEN 1 AND 60),
    sign_count  bigint      NOT NULL, -- of signatures, as the authenticator said last; 0: it does not count
    record      jsonb       NOT NULL, -- with the public key, as the library keeps it
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_at     timestamptz -- NULL: not yet
);
CREATE INDEX passkeys_user ON passkeys (user_id, id);

-- Challenges that were answered, so that none is answered twice. A challenge is valid for ten minutes.
CREATE TABLE used_challenges (
    challenge  bytea       PRIMARY KEY CHECK (octet_length(challenge) BETWEEN 16 AND 64),
    used_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX used_challenges_used_at ON used_challenges (used_at);

-- The functions below follow the rules of 006. Further outcomes: "used", the challenge was answered before; "taken", the
-- passkey was added before; "too many", the user has as many as are allowed; "copied", the count of signatures has not
-- risen, so there may be a copy of the passkey.

-- +goose StatementBegin
-- Uses up a challenge; false if somebody has before. It forgets some that are no longer valid.
CREATE FUNCTION use_challenge(answered bytea) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM used_challenges WHERE challenge = ANY (ARRAY(
        SELECT c.challenge FROM used_challenges c WHERE c.used_at < clock_timestamp() - interval '1 hour'
            ORDER BY c.used_at LIMIT 100 FOR UPDATE SKIP LOCKED));
    INSERT INTO used_challenges (challenge) VALUES (answered) ON CONFLICT (challenge) DO NOTHING;
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Adds a passkey to an account whose password is still the one that was checked.
CREATE FUNCTION add_passkey(key text, request bytea, its_user bigint, its_password_at timestamptz, answered bytea,
    its_credential bytea, its_host text, its_label text, its_count bigint, its_record jsonb, most int)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result       action_outcome := claim_key(key, request);
    password_at  timestamptz;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT a.password_at INTO password_at FROM accounts a WHERE a.user_id = its_user AND a.disabled_at IS NULL
        FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        result.outcome := 'not found';
    ELSIF password_at <> its_password_at THEN
        result.outcome := 'changed';
    ELSIF EXISTS (SELECT FROM passkeys p WHERE p.credential = its_credential) THEN
        result.outcome := 'taken';
    ELSIF (SELECT count(*) FROM passkeys p WHERE p.user_id = its_user) >= most THEN
        result.outcome := 'too many';
    ELSIF NOT use_challenge(answered) THEN
        result.outcome := 'used';
    END IF;
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    INSERT INTO passkeys (user_id, credential, host, label, sign_count, record)
        VALUES (its_user, its_credential, its_host, its_label, its_count, its_record);
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
-- Records that a passkey has signed a challenge. Two at once with the same count of signatures: one is refused.
CREATE FUNCTION use_passkey(key text, request bytea, its_id bigint, answered bytea, its_count bigint, its_record jsonb)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
    owner   bigint;
    before  bigint;
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    SELECT p.user_id, p.sign_count INTO owner, before FROM passkeys p JOIN accounts a ON a.user_id = p.user_id
        WHERE p.id = its_id AND a.disabled_at IS NULL FOR NO KEY UPDATE OF p;
    IF NOT FOUND THEN
        result.outcome := 'not found';
    ELSIF EXISTS (SELECT FROM used_challenges c WHERE c.challenge = answered) THEN
        result.outcome := 'used';
    ELSIF its_count <= before AND (its_count > 0 OR before > 0) THEN
        result.outcome := 'copied';
    ELSIF NOT use_challenge(answered) THEN
        result.outcome := 'used';
    END IF;
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE passkeys p SET sign_count = its_count, record = its_record, used_at = clock_timestamp() WHERE p.id = its_id;
    result := user_version(owner);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION rename_passkey(key text, request bytea, its_user bigint, its_id bigint, new_label text)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    UPDATE passkeys p SET label = new_label WHERE p.id = its_id AND p.user_id = its_user;
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
CREATE FUNCTION remove_passkey(key text, request bytea, its_user bigint, its_id bigint)
    RETURNS action_outcome LANGUAGE plpgsql AS $$
DECLARE
    result  action_outcome := claim_key(key, request);
BEGIN
    IF result.outcome IS NOT NULL THEN
        RETURN result;
    END IF;
    DELETE FROM passkeys p WHERE p.id = its_id AND p.user_id = its_user;
    IF NOT FOUND THEN
        result.outcome := 'not found';
        RETURN result;
    END IF;
    result := user_version(its_user);
    PERFORM remember_key(key, request, result);
    RETURN result;
END $$;
-- +goose StatementEnd
